#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xxhash.h>

/// XXH3-128 of a page under `base` (192 bytes, XXH3's default secret or a keyed one) and a 64-bit
/// seed. The per-seed secret is derived exactly as in `XXH3_initCustomSecret` of xxhash.h: every
/// even 64-bit word plus the seed, every odd one minus it. So with XXH3's own default secret this
/// equals XXH3_128bits_withSeed for inputs over 240 bytes, and pages are at least 512.
/// Little-endian machines only, like the rest of the digest code.
static inline XXH128_hash_t cxxhash_page(const void *page, size_t length, const uint8_t *base, uint64_t seed) {
  uint64_t words[24];
  memcpy(words, base, sizeof words);
  for (int i = 0; i < 24; i += 2) {
    words[i] += seed;
    words[i + 1] -= seed;
  }
  return XXH3_128bits_withSecret(page, length, words, sizeof words);
}
