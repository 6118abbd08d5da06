print(1 < 2 < 3, 1 < 3 < 2, 1 == 1.0 != 2, 3 in [1, 2, 3], None is None)
