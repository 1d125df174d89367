#include "dns.h"

#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    HEADER = 12,
    UDP_MAX = 512,
    MESSAGE_MAX = 65535,
    QUESTIONS_MAX = 4096,
    LATE_MAX = 64
};

typedef struct {
    char name[256];
    int type;
} question_t;

typedef struct {
    int64_t due;
    struct sockaddr_storage to;
    socklen_t to_size;
    unsigned char *message;
    size_t size;
} late_t;

struct dns {
    int udp;
    int tcp;
    int wake;
    worker_t worker;
    pthread_mutex_t mutex;
    pthread_cond_t asked;
    const dns_record_t *records;
    size_t count;
    question_t questions[QUESTIONS_MAX];
    size_t question_count;
    late_t late[LATE_MAX];
    size_t late_count;
};

/* ------------------------------------------------------------ messages --- */

/* The question of a message; gives where it ends, 0 for nonsense. */
static size_t read_question(const unsigned char *message,
                            size_t size,
                            question_t *question) {
    size_t at = HEADER;
    size_t length = 0;
    while (at < size && message[at] != 0) {
        size_t label = message[at++];
        if (label > 63 || at + label >= size || length + label + 2 > 255) {
            return 0;
        }
        if (length > 0) {
            question->name[length++] = '.';
        }
        memcpy(question->name + length, message + at, label);
        length += label;
        at += label;
    }
    question->name[length] = '\0';
    if (at + 5 > size) {
        return 0;
    }
    question->type = message[at + 1] << 8 | message[at + 2];
    return at + 5;
}

static const dns_record_t *find(const dns_t *dns, const question_t *question) {
    size_t i;
    for (i = 0; i < dns->count; ++i) {
        const dns_record_t *record = &dns->records[i];
        if ((!record->name || strcasecmp(record->name, question->name) == 0)
                && (record->type == DNS_ANY_TYPE
                    || record->type == question->type)) {
            return record;
        }
    }
    return NULL;
}

/* Appends a resource record for the name in the question. */
static size_t put_address(unsigned char *out, int type, const char *literal) {
    size_t length = type == DNS_AAAA ? 16 : 4;
    static const unsigned char FRONT[] = { 0xC0, HEADER, 0, 0, 0, 1, 0, 0, 0, 60,
                                           0 };
    memcpy(out, FRONT, sizeof(FRONT));
    out[3] = (unsigned char) type;
    out[11] = (unsigned char) length;
    CHECK_INT(1, inet_pton(type == DNS_AAAA ? AF_INET6 : AF_INET, literal,
                           out + 12));
    return 12 + length;
}

/* Turns a question that ends at `end` into its answer; gives the size. */
static size_t make_answer(unsigned char *message,
                          size_t end,
                          const question_t *question,
                          const dns_record_t *record) {
    size_t size = end;
    int answers = 0;
    const char *next = record && record->addresses ? record->addresses : "";
    int rcode = record ? record->rcode : DNS_NXDOMAIN;
    while (rcode == DNS_NOERROR && *(next += strspn(next, " ")) != '\0') {
        char literal[64];
        size_t length = strcspn(next, " ");
        CHECK(length < sizeof(literal) && size + 32 < MESSAGE_MAX);
        memcpy(literal, next, length);
        literal[length] = '\0';
        /* A record without a type is good for both. */
        if ((strchr(literal, ':') != NULL) == (question->type == DNS_AAAA)) {
            size += put_address(message + size, question->type, literal);
            ++answers;
        }
        next += length;
    }
    message[2] = 0x84; /* an authoritative response */
    message[3] = (unsigned char) (0x80 | rcode);
    memset(message + 4, 0, 8);
    message[5] = 1;
    message[6] = (unsigned char) (answers >> 8);
    message[7] = (unsigned char) answers;
    return size;
}

static void count_question(dns_t *dns, const question_t *question) {
    CHECK(dns->question_count < QUESTIONS_MAX);
    dns->questions[dns->question_count++] = *question;
    pthread_cond_broadcast(&dns->asked);
}

/* ---------------------------------------------------------------- UDP --- */

static void send_answer(const dns_t *dns,
                        unsigned char *message,
                        size_t size,
                        const struct sockaddr_storage *to,
                        socklen_t to_size) {
    if (size > UDP_MAX) {
        message[2] |= 2; /* truncated: ask by TCP */
        message[6] = message[7] = 0;
        size = HEADER;
        while (message[size] != 0) {
            size += message[size] + 1U;
        }
        size += 5;
    }
    /* The one who asked may be gone. */
    sendto(dns->udp, message, size, MSG_NOSIGNAL, (const struct sockaddr *) to,
           to_size);
}

static void serve_udp(dns_t *dns) {
    static unsigned char message[MESSAGE_MAX];
    struct sockaddr_storage from;
    socklen_t from_size = sizeof(from);
    ssize_t received = recvfrom(dns->udp, message, sizeof(message),
                                MSG_DONTWAIT, (struct sockaddr *) &from,
                                &from_size);
    question_t question;
    const dns_record_t *record;
    size_t end;
    size_t size;
    if (received < 0) {
        return; /* an ICMP error about an answer */
    }
    end = read_question(message, (size_t) received, &question);
    CHECK(end > 0);
    count_question(dns, &question);
    record = find(dns, &question);
    if (record && record->delay_ms == DNS_SILENT) {
        return;
    }
    size = make_answer(message, end, &question, record);
    if (!record || record->delay_ms == 0) {
        send_answer(dns, message, size, &from, from_size);
    } else {
        late_t *late = &dns->late[dns->late_count++];
        CHECK(dns->late_count <= LATE_MAX);
        late->due = now_us() + MS(record->delay_ms);
        late->to = from;
        late->to_size = from_size;
        late->size = size;
        late->message = (unsigned char *) malloc(size);
        memcpy(late->message, message, size);
    }
}

/* Sends what is due; gives the milliseconds until the next, -1 for none. */
static int send_late_answers(dns_t *dns) {
    int64_t now = now_us();
    int64_t next = -1;
    size_t i = 0;
    while (i < dns->late_count) {
        late_t *late = &dns->late[i];
        if (late->due <= now) {
            send_answer(dns, late->message, late->size, &late->to,
                        late->to_size);
            free(late->message);
            *late = dns->late[--dns->late_count];
        } else {
            next = next < 0 || late->due < next ? late->due : next;
            ++i;
        }
    }
    return next < 0 ? -1 : (int) ((next - now + 999) / 1000);
}

/* ---------------------------------------------------------------- TCP --- */

static bool read_all(int fd, unsigned char *out, size_t size) {
    while (size > 0) {
        ssize_t got = recv(fd, out, size, 0);
        if (got <= 0) {
            return false;
        }
        out += got;
        size -= (size_t) got;
    }
    return true;
}

static void write_all(int fd, const unsigned char *bytes, size_t size) {
    while (size > 0) {
        ssize_t put = send(fd, bytes, size, MSG_NOSIGNAL);
        if (put <= 0) {
            return;
        }
        bytes += put;
        size -= (size_t) put;
    }
}

static void serve_tcp(dns_t *dns) {
    static unsigned char frame[MESSAGE_MAX + 2];
    int fd = accept4(dns->tcp, NULL, NULL, SOCK_CLOEXEC);
    while (fd >= 0 && read_all(fd, frame, 2)) {
        question_t question;
        const dns_record_t *record;
        size_t size = (size_t) (frame[0] << 8 | frame[1]);
        size_t end;
        if (!read_all(fd, frame + 2, size)) {
            break;
        }
        end = read_question(frame + 2, size, &question);
        CHECK(end > 0);
        record = find(dns, &question);
        size = make_answer(frame + 2, end, &question, record);
        frame[0] = (unsigned char) (size >> 8);
        frame[1] = (unsigned char) size;
        write_all(fd, frame, size + 2);
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* -------------------------------------------------------------- server --- */

static void serve(void *arg) {
    dns_t *dns = (dns_t *) arg;
    struct pollfd entries[3];
    int wait;
    memset(entries, 0, sizeof(entries));
    entries[0].fd = dns->udp;
    entries[1].fd = dns->tcp;
    entries[2].fd = dns->wake;
    entries[0].events = entries[1].events = entries[2].events = POLLIN;
    for (;;) {
        pthread_mutex_lock(&dns->mutex);
        wait = send_late_answers(dns);
        pthread_mutex_unlock(&dns->mutex);
        if (poll(entries, 3, wait) < 0) {
            CHECK_INT(EINTR, errno);
            continue;
        }
        if (entries[2].revents) {
            return;
        }
        pthread_mutex_lock(&dns->mutex);
        if (entries[0].revents) {
            serve_udp(dns);
        }
        if (entries[1].revents) {
            serve_tcp(dns);
        }
        pthread_mutex_unlock(&dns->mutex);
    }
}

static int bound_to_53(const char *literal, int type) {
    struct sockaddr_storage address;
    socklen_t size = make_address(&address, literal, 53);
    int on = 1;
    int fd = (int) SYS(socket(address.ss_family, type | SOCK_CLOEXEC, 0));
    SYS(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)));
    SYS(bind(fd, (struct sockaddr *) &address, size));
    return fd;
}

static void end_dns(void *arg) {
    dns_t *dns = (dns_t *) arg;
    uint64_t one = 1;
    size_t i;
    SYS(write(dns->wake, &one, sizeof(one)));
    worker_join(&dns->worker);
    for (i = 0; i < dns->late_count; ++i) {
        free(dns->late[i].message);
    }
    SYS(close(dns->udp));
    SYS(close(dns->tcp));
    SYS(close(dns->wake));
    pthread_mutex_destroy(&dns->mutex);
    pthread_cond_destroy(&dns->asked);
    free(dns);
}

dns_t *dns_start(const char *literal,
                 const dns_record_t *records,
                 size_t count) {
    dns_t *dns = (dns_t *) calloc(1, sizeof(*dns));
    CHECK(dns != NULL);
    dns->udp = bound_to_53(literal, SOCK_DGRAM);
    dns->tcp = bound_to_53(literal, SOCK_STREAM);
    SYS(listen(dns->tcp, 16));
    dns->wake = (int) SYS(eventfd(0, EFD_CLOEXEC));
    pthread_mutex_init(&dns->mutex, NULL);
    pthread_cond_init(&dns->asked, NULL);
    dns_script(dns, records, count);
    worker_start(&dns->worker, serve, dns);
    defer(end_dns, dns);
    return dns;
}

void dns_script(dns_t *dns, const dns_record_t *records, size_t count) {
    pthread_mutex_lock(&dns->mutex);
    dns->records = records;
    dns->count = count;
    pthread_mutex_unlock(&dns->mutex);
}

static int count_asked(const dns_t *dns, const char *name, int type) {
    int count = 0;
    size_t i;
    for (i = 0; i < dns->question_count; ++i) {
        const question_t *question = &dns->questions[i];
        count += (!name || strcasecmp(name, question->name) == 0)
                 && (type == DNS_ANY_TYPE || type == question->type);
    }
    return count;
}

int dns_asked(dns_t *dns, const char *name, int type) {
    int count;
    pthread_mutex_lock(&dns->mutex);
    count = count_asked(dns, name, type);
    pthread_mutex_unlock(&dns->mutex);
    return count;
}

void dns_await(dns_t *dns, const char *name, int type, int count) {
    struct timespec give_up;
    pthread_mutex_lock(&dns->mutex);
    clock_gettime(CLOCK_REALTIME, &give_up);
    give_up.tv_sec += 15;
    while (count_asked(dns, name, type) < count) {
        if (pthread_cond_timedwait(&dns->asked, &dns->mutex, &give_up) != 0) {
            FAIL("only %d questions of %d", count_asked(dns, name, type), count);
        }
    }
    pthread_mutex_unlock(&dns->mutex);
}

void dns_stop(dns_t **dns) {
    undefer(end_dns, *dns);
    end_dns(*dns);
    *dns = NULL;
}
