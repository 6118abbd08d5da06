import unittest


def double(x):
    return x * 2


class TestDouble(unittest.TestCase):
    def setUp(self):
        self.value = 2

    def test_double(self):
        self.assertEqual(double(self.value), 4)
        self.assertCountEqual([1, 2], [2, 1])
        self.assertIsNone(None)

    @unittest.skip("later")
    def test_other(self):
        self.fail("never")


case = TestDouble("test_double")
case.setUp()
case.test_double()
print(double(3), issubclass(TestDouble, unittest.TestCase))
try:
    case.assertTrue(False)
except AssertionError:
    print("failed")
if __name__ == "__main__":
    unittest.main()
