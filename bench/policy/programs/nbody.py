"""Planets that attract each other: arithmetic on floats in lists."""

SIZE = 900
DAYS = 365.24
SOLAR_MASS = 39.47841760435743

BODIES = [
    ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], SOLAR_MASS),
    ([4.84, -1.16, -0.10], [0.00166 * DAYS, 0.00769 * DAYS, -0.000069 * DAYS], 9.5e-4 * SOLAR_MASS),
    ([8.34, 4.12, -0.40], [-0.00276 * DAYS, 0.00499 * DAYS, 0.000023 * DAYS], 2.8e-4 * SOLAR_MASS),
    ([12.89, -15.11, -0.22], [0.00296 * DAYS, 0.00237 * DAYS, -0.00003 * DAYS], 4e-5 * SOLAR_MASS),
    ([15.37, -25.9, 0.179], [0.00268 * DAYS, 0.00162 * DAYS, -0.000095 * DAYS], 5e-5 * SOLAR_MASS),
]


def pairs_of(bodies):
    return [(a, b) for i, a in enumerate(bodies) for b in bodies[i + 1 :]]


def advance(bodies, pairs, dt, steps):
    for _ in range(steps):
        for (p, v, m), (q, w, n) in pairs:
            dx = p[0] - q[0]
            dy = p[1] - q[1]
            dz = p[2] - q[2]
            scale = dt / ((dx * dx + dy * dy + dz * dz) ** 1.5)
            a, b = n * scale, m * scale
            v[0] -= dx * a
            v[1] -= dy * a
            v[2] -= dz * a
            w[0] += dx * b
            w[1] += dy * b
            w[2] += dz * b
        for position, velocity, _mass in bodies:
            position[0] += dt * velocity[0]
            position[1] += dt * velocity[1]
            position[2] += dt * velocity[2]


def energy(bodies, pairs):
    total = 0.0
    for _, v, m in bodies:
        total += m * (v[0] ** 2 + v[1] ** 2 + v[2] ** 2) / 2
    for (p, _v, m), (q, _w, n) in pairs:
        total -= m * n / sum((a - b) ** 2 for a, b in zip(p, q)) ** 0.5
    return total


def run(size):
    bodies = [(list(p), list(v), m) for p, v, m in BODIES]
    pairs = pairs_of(bodies)
    advance(bodies, pairs, 0.01, size)
    return energy(bodies, pairs)
