"""The random weights of docs/approximations.md, from the algorithm written there. Bit for bit those of runtime/normal.c.

As a program: prints one line "R D orthogonal seed hash" per case, as weights.c does."""
import math
import struct

MASK = (1 << 64) - 1
GOLDEN = 0x9e3779b97f4a7c15
RATIOS = [
    ([3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3, 1.3731693765509461125e+4,
      4.5921953931549871457e+4, 6.7265770927008700853e+4, 3.3430575583588128105e+4, 2.5090809287301226727e+3],
     [1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3, 2.1213794301586595867e+4,
      3.9307895800092710610e+4, 2.8729085735721942674e+4, 5.2264952788528545610e+3]),
    ([1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
      1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4],
     [1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1, 1.48103976427480074590e-1,
      1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9]),
    ([6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
      2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7],
     [1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2, 7.86869131145613259100e-4,
      1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15])]


def mix(z):
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9 & MASK
    z = (z ^ z >> 27) * 0x94d049bb133111eb & MASK
    return z ^ z >> 31


def logarithm(x):
    m, e = math.frexp(x)
    if m < 0.7071067811865476:
        m, e = m + m, e - 1
    s = (m - 1) / (m + 1)
    t, total = s * s, 0.0
    for k in range(23, 0, -2):
        total = total * t + 1 / k
    return e * 0.6931471805599453 + 2 * s * total


def quotient(which, x):
    values = []
    for c in RATIOS[which]:
        total = c[7]
        for k in range(6, -1, -1):
            total = total * x + c[k]
        values.append(total)
    return values[0] / values[1]


def normal(seed, i):
    z = mix((mix((seed + GOLDEN) & MASK) + (i + 1) * GOLDEN) & MASK)
    p = ((z >> 12) + 0.5) * 2.0 ** -52
    q = p - 0.5
    if -0.425 <= q <= 0.425:
        return q * quotient(0, 0.180625 - q * q)
    r = math.sqrt(-logarithm(p if q < 0 else 1 - p))
    x = quotient(1, r - 1.6) if r <= 5 else quotient(2, r - 5)
    return -x if q < 0 else x


def dot(a, b):
    total = 0.0
    for x, y in zip(a, b):
        total = total + x * y
    return total


def weights(R, D, seed=1, orthogonal=False):
    """W as R lists of D doubles."""
    rows, block, high = [], [], min(R, D)
    for r in range(R):
        row = [normal(seed, r * D + d) for d in range(D)]
        if not orthogonal:
            rows.append(row)
            continue
        if r % high == 0:
            block = []
        length = math.sqrt(dot(row, row))
        for u in block:
            c = dot(row, u)
            row = [x - c * y for x, y in zip(row, u)]
        rest = math.sqrt(dot(row, row))
        block.append([x / rest for x in row])
        rows.append([length * x for x in block[-1]])
    return rows


if __name__ == "__main__":
    for R, D, orthogonal, seed in ((1, 1, 0, 0), (1, 1, 1, 1), (7, 3, 0, 1), (7, 3, 1, 1), (3, 8, 1, 9), (70, 16, 0, 2), (70, 16, 1, 1 << 53),
                                   (300, 5, 1, 123456789)):
        h = 0xcbf29ce484222325
        w = weights(R, D, seed, bool(orthogonal))
        for d in range(D):
            for r in range(R):
                for byte in struct.pack("<d", w[r][d]):
                    h = (h ^ byte) * 0x100000001b3 & MASK
        print(R, D, orthogonal, seed, f"{h:016x}")
