import functools
def twice(f):
    @functools.wraps(f)
    def wrapper(*a, **k):
        '''wrapped'''
        wrapper.count += 1
        return f(f(*a, **k))
    wrapper.count = 0
    return wrapper
@twice
def inc(x):
    '''Add one.'''
    return x + 1
print(inc(3), inc.__name__, inc.__doc__, inc.count, inc.__wrapped__(1))
