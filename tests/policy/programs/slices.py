items = list(range(10))
items[2:4] = ["a", "b", "c"]
del items[0], items[-1]
items[::2] = [0] * len(items[::2])
print(items, items[1:3], "hello"[::-1])
matrix = [[0] * 3 for _ in range(2)]
matrix[1][2] += 5
print(matrix)
