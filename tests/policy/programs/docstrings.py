"""Module docs."""
class C:
    """Class docs."""
    def m(self):
        """Method docs."""
        self.x = 1
def only_doc():
    """Just this."""
print(__doc__, C.__doc__, C.m.__doc__, only_doc.__doc__, only_doc())
