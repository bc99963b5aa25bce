"""Addresses that all have one hash where a table hashes by std::hash.

libstdc++ hashes text by MurmurHash64A under a seed that everybody knows. Its state after two blocks
of eight bytes is the same for another first block, if the second is chosen for it; so a chain of
such pairs, each with two ways to go, has 2^n names of one hash and one length. The second block is
right for an address in one of some 100,000 cases, so a few seconds find enough.
"""

import itertools
import random

MULTIPLIER = 0xC6A4A7935BD1E995
MASK = (1 << 64) - 1
INVERSE = pow(MULTIPLIER, -1, 1 << 64)
SEED = 0xC70F6907
# In the localpart of an address and in an XML attribute as they are (RFC 7622 3.3.1).
LEGAL = b"abcdefghijklmnopqrstuvwxyz0123456789!#$%()*+,-.;=?[]^_`{|}~"
LETTERS = LEGAL[:36]


def mix(block):
    block = block * MULTIPLIER & MASK
    block ^= block >> 47
    return block * MULTIPLIER & MASK


def unmix(value):
    value = value * INVERSE & MASK
    value ^= value >> 47
    return value * INVERSE & MASK


def std_hash(text):
    """What libstdc++ makes of it."""
    state = SEED ^ (len(text) * MULTIPLIER & MASK)
    whole = len(text) & ~7
    for i in range(0, whole, 8):
        state = (state ^ mix(int.from_bytes(text[i:i + 8], "little"))) * MULTIPLIER & MASK
    if whole < len(text):
        state = (state ^ int.from_bytes(text[whole:], "little")) * MULTIPLIER & MASK
    state ^= state >> 47
    state = state * MULTIPLIER & MASK
    return state ^ (state >> 47)


def colliding_addresses(count, domain):
    """At least `count` addresses of one hash; always the same."""
    tail = b"@" + domain.encode()
    draw = random.Random(1)
    pairs = (count - 1).bit_length()
    state = SEED ^ ((16 * pairs + len(tail)) * MULTIPLIER & MASK)
    ways = []
    legal = frozenset(LEGAL)
    for _ in range(pairs):
        one = bytes(draw.choices(LETTERS, k=16))
        first = mix(int.from_bytes(one[:8], "little"))
        after = (state ^ first) * MULTIPLIER & MASK
        wanted = after ^ mix(int.from_bytes(one[8:], "little"))
        while True:
            block = draw.choices(LETTERS, k=8)
            other = (state ^ mix(int.from_bytes(bytes(block), "little"))) * MULTIPLIER & MASK
            second = unmix(wanted ^ other).to_bytes(8, "little")
            if legal.issuperset(second):
                break
        ways.append((one, bytes(block) + second))
        state = wanted * MULTIPLIER & MASK
    addresses = [b"".join(parts) + tail for parts in itertools.product(*ways)]
    if len({std_hash(address) for address in addresses}) != 1:
        raise AssertionError("these addresses do not collide")
    return [address.decode() for address in addresses]
