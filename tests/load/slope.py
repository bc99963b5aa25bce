"""The slope of a series with its 95 % confidence interval: does it grow, or does it only wobble?

Least squares over (time, value). Samples of memory resemble their neighbours, so that fewer of them
count than there are: their number is reduced by the correlation of neighbouring residuals (lag 1)
before the interval is computed. Run as a program it checks itself.
"""

import dataclasses
import math
import random
import sys


@dataclasses.dataclass
class Slope:
    """Per hour, if the times were seconds."""
    slope: float
    margin: float  # half of the interval
    mean: float

    @property
    def low(self):
        return self.slope - self.margin

    @property
    def high(self):
        return self.slope + self.margin

    def exceeds(self, bound):
        """Surely greater than zero, and by more than may be."""
        return self.low > 0 and self.slope > bound


def student(freedom):
    """The 97.5th percentile of Student's t, for two and more degrees of freedom to within 5 %."""
    return 1.96 + 2.37 / freedom + 2.8 / freedom ** 2 + 2.5 / freedom ** 3


def measure(times, values):
    """REQUIRES: at least 8 samples. A series that never changes has a slope of exactly 0."""
    count = len(times)
    mean_time, mean = sum(times) / count, sum(values) / count
    spread = sum((time - mean_time) ** 2 for time in times)
    slope = sum((t - mean_time) * (v - mean) for t, v in zip(times, values)) / spread
    residuals = [v - mean - slope * (t - mean_time) for t, v in zip(times, values)]
    squares = sum(residual ** 2 for residual in residuals)
    if squares == 0:
        return Slope(slope * 3600, 0.0, mean)
    correlation = sum(a * b for a, b in zip(residuals, residuals[1:])) / squares
    correlation = min(max(correlation, 0.0), 0.99)
    effective = max(count * (1 - correlation) / (1 + correlation), 4.0)
    # The usual error of a slope, with the variance count / effective times as large.
    error = math.sqrt(squares / (effective - 2) / spread)
    return Slope(slope * 3600, student(effective - 2) * error * 3600, mean)


def check():
    """How often is a level series called growing, and a growing one level?"""
    rng = random.Random(1)
    times = [float(second) for second in range(120)]

    def noise(memory):
        value, values = 0.0, []
        for _ in times:
            value = memory * value + rng.gauss(0, 1)
            values.append(value)
        return values

    for memory, most in ((0.0, 0.05), (0.8, 0.12)):
        rounds, alarms, missed = 1000, 0, 0
        for _ in range(rounds):
            level = noise(memory)
            alarms += measure(times, level).low > 0
            rising = [value + 0.1 * time for time, value in zip(times, level)]
            missed += not measure(times, rising).exceeds(36)
        print(f"slope: correlation {memory}: {alarms} of {rounds} level series called growing, "
              f"{missed} growing ones missed")
        if alarms > most * rounds or missed > 0.01 * rounds:
            sys.exit("slope: that is not what an interval of 95 % is")
    if measure(times, [3.0] * len(times)) != Slope(0.0, 0.0, 3.0):
        sys.exit("slope: a constant has none")


if __name__ == "__main__":
    check()
