// MD5 (RFC 1321) of four streams at a time. Swift's vectors need twice the time: it does not compile
// their shifts to single instructions.
#include "CShims.h"
#include <string.h>

typedef uint32_t lanes __attribute__((vector_size(16)));

/// The integer parts of 2^32 * |sin(i)|, i from 1.
static const uint32_t sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static lanes word(const uint8_t *const streams[4], size_t offset) {
  lanes words;
  for (int lane = 0; lane < 4; lane++) {
    const uint8_t *byte = streams[lane] + offset;
    uint32_t value;
    memcpy(&value, byte, sizeof value);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap32(value);
#endif
    words[lane] = value;
  }
  return words;
}

#define TURN(a, b, mixed, index, step, shift) \
  a += (mixed) + words[(index) & 15] + sines[step]; \
  a = ((a << shift) | (a >> (32 - shift))) + b;

// One round: 16 steps, of which step i uses the word (factor * i + first) mod 16.
#define ROUND(base, factor, first, s0, s1, s2, s3, MIX) \
  _Pragma("clang loop unroll(full)") for (int i = 0; i < 16; i += 4) { \
    TURN(a, b, MIX(b, c, d), factor * i + first, base + i, s0) \
    TURN(d, a, MIX(a, b, c), factor * (i + 1) + first, base + i + 1, s1) \
    TURN(c, d, MIX(d, a, b), factor * (i + 2) + first, base + i + 2, s2) \
    TURN(b, c, MIX(c, d, a), factor * (i + 3) + first, base + i + 3, s3) \
  }

#define MIX1(b, c, d) (d ^ (b & (c ^ d)))
#define MIX2(b, c, d) (c ^ (d & (b ^ c)))
#define MIX3(b, c, d) (b ^ c ^ d)
#define MIX4(b, c, d) (c ^ (b | ~d))

void cshims_md5(uint32_t state[16], const uint8_t *const streams[4], size_t blocks) {
  lanes sums[4];
  memcpy(sums, state, sizeof sums);
  for (size_t offset = 0; offset < 64 * blocks; offset += 64) {
    lanes words[16];
    for (int i = 0; i < 16; i++) words[i] = word(streams, offset + 4 * i);
    lanes a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    ROUND(0, 1, 0, 7, 12, 17, 22, MIX1)
    ROUND(16, 5, 1, 5, 9, 14, 20, MIX2)
    ROUND(32, 3, 5, 4, 11, 16, 23, MIX3)
    ROUND(48, 7, 0, 6, 10, 15, 21, MIX4)
    sums[0] += a;
    sums[1] += b;
    sums[2] += c;
    sums[3] += d;
  }
  memcpy(state, sums, sizeof sums);
}
