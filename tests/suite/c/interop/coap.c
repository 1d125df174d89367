#include "coap.h"

#include <string.h>

enum { URI_PATH = 11, PAYLOAD_MARKER = 0xFF };

/* Options and payload; gives the length. */
static size_t write_body(const coap_message_t *message, uint8_t *out) {
    size_t length = 0;
    size_t payload = strlen(message->payload);
    const char *segment = message->path;
    unsigned previous = 0;
    while (*segment) {
        size_t size = strcspn(segment, "/");
        /* Segments of the programs here are shorter than 13 bytes. */
        out[length++] = (uint8_t) ((URI_PATH - previous) << 4 | size);
        memcpy(out + length, segment, size);
        length += size;
        previous = URI_PATH;
        segment += size + (segment[size] == '/');
    }
    if (payload > 0) {
        out[length++] = PAYLOAD_MARKER;
        memcpy(out + length, message->payload, payload);
        length += payload;
    }
    return length;
}

size_t coap_write(bool tcp, const coap_message_t *message, uint8_t *out) {
    uint8_t body[COAP_MAX];
    size_t body_length = write_body(message, body);
    size_t length = 0;
    if (tcp) {
        size_t nibble = body_length < 13 ? body_length
                                         : body_length < 269 ? 13 : 14;
        out[length++] = (uint8_t) (nibble << 4 | message->token_length);
        if (nibble == 13) {
            out[length++] = (uint8_t) (body_length - 13);
        } else if (nibble == 14) {
            out[length++] = (uint8_t) ((body_length - 269) >> 8);
            out[length++] = (uint8_t) (body_length - 269);
        }
        out[length++] = message->code;
    } else {
        out[length++] =
                (uint8_t) (0x40 | message->type << 4 | message->token_length);
        out[length++] = message->code;
        out[length++] = (uint8_t) (message->id >> 8);
        out[length++] = (uint8_t) message->id;
    }
    memcpy(out + length, message->token, message->token_length);
    length += message->token_length;
    memcpy(out + length, body, body_length);
    return length + body_length;
}

/* The bytes of the length field after the first byte. */
static size_t extended_bytes(uint8_t first) {
    switch (first >> 4) {
    case 13:
        return 1;
    case 14:
        return 2;
    case 15:
        return 4;
    default:
        return 0;
    }
}

size_t coap_frame_length(const uint8_t *data, size_t length) {
    size_t extended;
    size_t body;
    if (length < 1) {
        return 0;
    }
    extended = extended_bytes(data[0]);
    if (length < 1 + extended) {
        return 0;
    }
    body = data[0] >> 4;
    if (extended == 1) {
        body = (size_t) data[1] + 13;
    } else if (extended == 2) {
        body = ((size_t) data[1] << 8 | data[2]) + 269;
    } else if (extended == 4) {
        return SIZE_MAX; /* longer than anything asked for here */
    }
    return 1 + extended + 1 + (data[0] & 0x0F) + body;
}

/* An option's delta or length: 13 and 14 say that more bytes follow. */
static bool read_extended(const uint8_t **at, const uint8_t *end, size_t *value) {
    if (*value == 13) {
        if (end - *at < 1) {
            return false;
        }
        *value = (size_t) (*at)[0] + 13;
        *at += 1;
    } else if (*value == 14) {
        if (end - *at < 2) {
            return false;
        }
        *value = ((size_t) (*at)[0] << 8 | (*at)[1]) + 269;
        *at += 2;
    }
    return *value != 15;
}

static bool append(char *text, size_t capacity, const void *data, size_t size) {
    size_t used = strlen(text);
    if (size >= capacity - used) {
        return false;
    }
    memcpy(text + used, data, size);
    text[used + size] = '\0';
    return true;
}

static bool read_body(const uint8_t *at,
                      const uint8_t *end,
                      coap_message_t *message) {
    size_t number = 0;
    while (at < end && *at != PAYLOAD_MARKER) {
        size_t delta = *at >> 4;
        size_t size = *at & 0x0F;
        ++at;
        if (!read_extended(&at, end, &delta) || !read_extended(&at, end, &size)
                || (size_t) (end - at) < size) {
            return false;
        }
        number += delta;
        if (number == URI_PATH) {
            if ((*message->path
                 && !append(message->path, sizeof(message->path), "/", 1))
                    || !append(message->path, sizeof(message->path), at, size)) {
                return false;
            }
        }
        at += size;
    }
    if (at == end) {
        return true;
    }
    ++at;
    return append(message->payload, sizeof(message->payload), at,
                  (size_t) (end - at));
}

bool coap_read(bool tcp,
               const uint8_t *data,
               size_t length,
               coap_message_t *message) {
    const uint8_t *at = data;
    const uint8_t *end = data + length;
    memset(message, 0, sizeof(*message));
    if (length < (tcp ? 2 : 4)) {
        return false;
    }
    message->token_length = data[0] & 0x0F;
    if (tcp) {
        at += 1 + extended_bytes(data[0]);
        message->code = *at++;
    } else {
        message->type = data[0] >> 4 & 3;
        message->code = data[1];
        message->id = (uint16_t) (data[2] << 8 | data[3]);
        at += 4;
    }
    if (message->token_length > 8
            || (size_t) (end - at) < message->token_length) {
        return false;
    }
    memcpy(message->token, at, message->token_length);
    return read_body(at + message->token_length, end, message);
}
