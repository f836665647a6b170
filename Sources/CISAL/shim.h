#pragma once
#include <isa-l.h>
#include <stdint.h>

/// Size in bytes of the work buffer that a compression level needs for up to `largest` bytes; 0 for
/// level 0 and unknown levels. A block holds up to 65,536 tokens ("large"), and there is at most
/// one for each byte.
static inline uint32_t cisal_level_buffer_size(int level, uint32_t largest) {
  uint32_t tokens = largest < IGZIP_K ? IGZIP_K : largest > 64 * IGZIP_K ? 64 * IGZIP_K : largest;
  return level == 1   ? ISAL_DEF_LVL1_REQ + ISAL_DEF_LVL1_TOKEN_SIZE * tokens
         : level == 2 ? ISAL_DEF_LVL2_REQ + ISAL_DEF_LVL2_TOKEN_SIZE * tokens
         : level == 3 ? ISAL_DEF_LVL3_REQ + ISAL_DEF_LVL3_TOKEN_SIZE * tokens
                      : 0;
}

/// Deflates one whole buffer, without any wrapper. Returns COMP_OK and the byte count in `written`,
/// or ISA-L's error.
static inline int cisal_deflate(struct isal_zstream *stream, int level, uint8_t *work, uint32_t workSize,
                                const uint8_t *input, uint32_t inputSize, uint8_t *output, uint32_t outputSize,
                                uint32_t *written) {
  isal_deflate_stateless_init(stream);
  stream->level = level;
  stream->level_buf = work;
  stream->level_buf_size = workSize;
  stream->gzip_flag = IGZIP_DEFLATE;
  stream->end_of_stream = 1;
  stream->flush = NO_FLUSH;
  stream->next_in = (uint8_t *)input;
  stream->avail_in = inputSize;
  stream->next_out = output;
  stream->avail_out = outputSize;
  int result = isal_deflate_stateless(stream);
  *written = outputSize - stream->avail_out;
  return result;
}

/// Inflates one whole raw deflate stream. Returns ISAL_DECOMP_OK, with the number of output bytes
/// in `made` and of input bytes in `used`, or ISA-L's error.
static inline int cisal_inflate(struct inflate_state *state, const uint8_t *input, uint32_t inputSize, uint8_t *output,
                                uint32_t outputSize, uint32_t *made, uint32_t *used) {
  isal_inflate_init(state);
  state->crc_flag = ISAL_DEFLATE;
  state->next_in = (uint8_t *)input;
  state->avail_in = inputSize;
  state->next_out = output;
  state->avail_out = outputSize;
  int result = isal_inflate_stateless(state);
  *made = outputSize - state->avail_out;
  *used = inputSize - state->avail_in;
  return result;
}
