#include "coap.h"

enum { URI_PATH = 11, PAYLOAD_MARKER = 0xFF };

/* Options and payload; gives the length. */
static size_t write_body(const coap_message_t *message, uint8_t *out) {
    size_t length = 0;
    size_t payload = strlen(message->payload);
    unsigned previous = 0;
    for (const char *segment = message->path; *segment;) {
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
        size_t nibble = body_length < 13 ? body_length : body_length < 269 ? 13 : 14;
        out[length++] = (uint8_t) (nibble << 4 | message->token_length);
        if (nibble == 13) {
            out[length++] = (uint8_t) (body_length - 13);
        } else if (nibble == 14) {
            out[length++] = (uint8_t) ((body_length - 269) >> 8);
            out[length++] = (uint8_t) (body_length - 269);
        }
        out[length++] = message->code;
    } else {
        out[length++] = (uint8_t) (0x40 | message->type << 4 | message->token_length);
        out[length++] = message->code;
        out[length++] = (uint8_t) (message->id >> 8);
        out[length++] = (uint8_t) message->id;
    }
    memcpy(out + length, message->token, message->token_length);
    length += message->token_length;
    memcpy(out + length, body, body_length);
    return length + body_length;
}

void coap_send(sock_t *socket, bool tcp, const coap_message_t *message) {
    uint8_t data[COAP_MAX];
    size_t length = coap_write(tcp, message, data);
    CHECK_OK(V(socket)->send(socket, data, length));
}

/* A number of four bits: 13 and 14 say that one byte, or two, follow and add to
   that. */
static size_t read_extended(size_t nibble, const uint8_t **at, const uint8_t *end) {
    CHECK(nibble < 15);
    if (nibble == 13) {
        CHECK(end - *at >= 1);
        nibble += *(*at)++;
    } else if (nibble == 14) {
        CHECK(end - *at >= 2);
        nibble = ((size_t) (*at)[0] << 8 | (*at)[1]) + 269;
        *at += 2;
    }
    return nibble;
}

static void append(char *text, size_t capacity, const void *data, size_t size) {
    size_t used = strlen(text);
    CHECK(size < capacity - used);
    memcpy(text + used, data, size);
    text[used + size] = '\0';
}

static void read_body(const uint8_t *at, const uint8_t *end, coap_message_t *message) {
    size_t number = 0;
    while (at < end && *at != PAYLOAD_MARKER) {
        uint8_t first = *at++;
        number += read_extended(first >> 4, &at, end);
        size_t size = read_extended(first & 0x0F, &at, end);
        CHECK((size_t) (end - at) >= size);
        if (number == URI_PATH) {
            append(message->path, sizeof(message->path), "/", *message->path ? 1 : 0);
            append(message->path, sizeof(message->path), at, size);
        }
        at += size;
    }
    if (at < end) {
        append(message->payload, sizeof(message->payload), at + 1, (size_t) (end - at - 1));
    }
}

coap_message_t coap_read(bool tcp, const uint8_t *data, size_t length) {
    const uint8_t *at = data + 1;
    const uint8_t *end = data + length;
    coap_message_t message;
    memset(&message, 0, sizeof(message));
    CHECK(length >= (tcp ? 2 : 4));
    message.token_length = data[0] & 0x0F;
    if (tcp) {
        (void) read_extended(data[0] >> 4, &at, end);
        message.code = *at++;
    } else {
        message.type = data[0] >> 4 & 3;
        message.code = data[1];
        message.id = (uint16_t) (data[2] << 8 | data[3]);
        at = data + 4;
    }
    CHECK(message.token_length <= 8 && (size_t) (end - at) >= message.token_length);
    memcpy(message.token, at, message.token_length);
    read_body(at + message.token_length, end, &message);
    return message;
}

/* On TCP: the length of the message that begins here, or of what tells it. */
static size_t frame_length(const uint8_t *data, size_t length) {
    size_t extended = length < 1 || data[0] >> 4 < 13 ? 0 : (data[0] >> 4) - 12;
    const uint8_t *at = data + 1;
    if (length < 1 + extended) {
        return 1 + extended;
    }
    size_t body = read_extended(data[0] >> 4, &at, data + length);
    return 1 + extended + 1 + (data[0] & 0x0F) + body;
}

coap_message_t coap_receive(sock_t *socket, bool tcp) {
    /* Bytes of a stream that have arrived and are not used yet. */
    static uint8_t pending[8192];
    static size_t pending_length;
    size_t length;
    size_t frame;
    if (!tcp) {
        CHECK_OK(V(socket)->receive(socket, &length, pending, sizeof(pending)));
        return coap_read(false, pending, length);
    }
    while ((frame = frame_length(pending, pending_length)) > pending_length) {
        CHECK(frame <= sizeof(pending));
        CHECK_OK(V(socket)->receive(
                socket, &length, pending + pending_length, sizeof(pending) - pending_length));
        CHECK(length > 0); /* not the end of the stream */
        pending_length += length;
    }
    coap_message_t message = coap_read(true, pending, frame);
    memmove(pending, pending + frame, pending_length - frame);
    pending_length -= frame;
    return message;
}
