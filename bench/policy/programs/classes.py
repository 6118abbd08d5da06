"""A hierarchy with properties, operators, super() and slots: vectors that meet shapes."""

import math

SIZE = 900


class Vector:
    __slots__ = ("x", "y", "z")

    def __init__(self, x, y, z):
        self.x = x
        self.y = y
        self.z = z

    def __add__(self, other):
        return Vector(self.x + other.x, self.y + other.y, self.z + other.z)

    def __sub__(self, other):
        return Vector(self.x - other.x, self.y - other.y, self.z - other.z)

    def __mul__(self, factor):
        return Vector(self.x * factor, self.y * factor, self.z * factor)

    def dot(self, other):
        return self.x * other.x + self.y * other.y + self.z * other.z

    @property
    def length(self):
        return math.sqrt(self.dot(self))

    def normalized(self):
        return self * (1 / self.length)


class Shape:
    count = 0

    def __init__(self, color):
        self.color = color
        type(self).count += 1

    def hit(self, origin, direction):
        raise NotImplementedError

    def shade(self, distance):
        return self.color / (1 + distance)


class Sphere(Shape):
    def __init__(self, center, radius, color):
        super().__init__(color)
        self.center = center
        self.radius = radius

    def hit(self, origin, direction):
        to_center = self.center - origin
        along = to_center.dot(direction)
        missed = to_center.dot(to_center) - along * along
        inside = self.radius * self.radius - missed
        return along - math.sqrt(inside) if inside >= 0 else None


class Plane(Shape):
    def __init__(self, height, color):
        super().__init__(color)
        self.height = height

    def hit(self, origin, direction):
        if direction.y >= 0:
            return None
        return (self.height - origin.y) / direction.y

    def shade(self, distance):
        return super().shade(distance * 2)


def run(size):
    eye = Vector(0.0, 1.0, -5.0)
    scene = [Sphere(Vector(float(i), 1.0, i * 2.0), 1.0, 0.5 + i / 10) for i in range(4)]
    scene.append(Plane(0.0, 0.3))
    light, hits = 0.0, 0
    for pixel in range(size):
        ray = Vector(pixel % 30 / 15 - 1, pixel // 30 / 15 - 1, 2.0).normalized()
        found = [(d, s) for s in scene if (d := s.hit(eye, ray)) is not None and d > 0]
        if found:
            distance, shape = min(found, key=lambda pair: pair[0])
            point = eye + ray * distance
            light += shape.shade(point.length)
            hits += 1
    return hits, light
