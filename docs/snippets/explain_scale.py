"""How the cost of a fit by shards grows: every figure computed by dotbias.cluster.plan."""

# --8<-- [start:sizes]
from dotbias.cluster.plan import Machines, Size, plan, shown


def world(n):
    """n ratings, 200 of a user, up to two thousand million users and ten million items."""
    return Size(n, min(n // 200, 2 * 10**9), min(max(n // 5000, 10_000), 10**7), 64)


WORKERS = {10**7: 2, 10**8: 2, 10**9: 32, 10**10: 32, 10**11: 256, 10**12: 1024}
print("  ratings workers   driver   worker  a store    moved  sweep, s")
for n, workers in WORKERS.items():
    p = plan(world(n), Machines(workers))
    store = max(p.dealt, p.kept) / workers
    sizes = [p.driver.total, p.worker.total, store, p.moved]
    print(f"{n:9.0e} {workers:7}", *(f"{shown(x):>8}" for x in sizes), f"{p.seconds:9,.1f}")
# --8<-- [end:sizes]

# --8<-- [start:share]
for n, workers in WORKERS.items():
    sweep = plan(world(n), Machines(workers)).sweep
    parts = ", ".join(f"{name} {100 * s / sweep.total:.0f} %" for name, s in sweep.of.items())
    print(f"{n:.0e}: {parts}")
# --8<-- [end:share]

# --8<-- [start:network]
for gbits in (10, 100):
    p = plan(world(10**9), Machines(32, machines=4, gbits=gbits))
    print(f"{gbits} Gbit/s: {p.sweep.of['network']:.1f} of {p.seconds:.1f} s a sweep")
# --8<-- [end:network]

# --8<-- [start:one]
print(f"{'ratings':>9} {'als holds':>10} {'sgd, on disk':>13} {'16 threads, s a sweep':>22}")
for n in (10**7, 10**8, 10**9, 10**10):
    size = world(n)
    p = plan(size, Machines(16, machines=1), shards=16 * max(1, n // 10**8))
    rows = p.driver.of["both sides' rows"]
    als = 28 * n + 2 * rows  # columns, and two sorted copies
    sgd = 3 * n + 2 * rows  # a quarter of the columns
    print(f"{n:9.0e} {shown(als):>10} {shown(sgd):>13} {p.sweep.of['half-steps']:22,.1f}")
# --8<-- [end:one]
