/* The floor: what forwarding NATS audio to WebSocket costs when nothing is in the way. Not a product, a yardstick.
 *
 *   cc -O2 -o c_forwarder c_forwarder.c
 *   c_forwarder NATS_HOST NATS_PORT WS_HOST WS_PORT WS_PATH SUBJECT TEXT_JSON
 *
 * One thread, blocking sockets: NATS core subscription (MSG and HMSG) -> msgpack audio messages -> base64 -> JSON of
 * protocol v1 -> masked WebSocket text frame, one connection per session. No reconnect, no acks, no state, ids must
 * be plain tokens, and the handshake's Sec-WebSocket-Accept is not verified. TEXT_JSON is the metadata's text, already
 * a JSON string. Prints `ready`, and on SIGTERM one JSON line with the CPU time used. */
#define _GNU_SOURCE
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

typedef uint8_t u8;
enum { READ_BUFFER = 8 << 20, FRAME_BUFFER = 4 << 20, FRAME_HEAD = 14, MAX_SESSIONS = 2048, MAX_TOKEN = 344 };

typedef struct {
    char name[MAX_TOKEN];
    int fd;
    char format[16], engine[72], language[72];
} Session;

static const char *ws_host, *ws_port, *ws_path, *text_json;
static Session sessions[MAX_SESSIONS];
static int session_count;
static long chunk_count;
static u8 *frame; /* FRAME_HEAD bytes of room for the header, then the payload under construction */
static volatile sig_atomic_t stopping;

static void on_signal(int number) { (void)number; stopping = 1; }

static void die(const char *why) {
    fprintf(stderr, "c_forwarder: %s (%s)\n", why, strerror(errno));
    exit(1);
}

static void finish(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"cpu_seconds\": %.6f, \"chunks\": %ld}\n",
           used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6, chunk_count);
    exit(0);
}

/* ---- sockets ---- */

static int dial(const char *host, const char *port) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int one = 1;
    if (getaddrinfo(host, port, &hints, &found)) die("cannot resolve host");
    int fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) die("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    freeaddrinfo(found);
    return fd;
}

static void write_all(int fd, const void *data, size_t size) {
    const u8 *at = data;
    while (size) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) {
            if (stopping) finish();
            continue;
        }
        if (n <= 0) die("write failed");
        at += n, size -= (size_t)n;
    }
}

/* ---- base64 ---- */

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#if defined(__x86_64__)
#include <tmmintrin.h>
/* 12 bytes to 16 characters a step, after Mula and Lemire, "Faster Base64 Encoding and Decoding Using AVX2
 * Instructions" (2018), section 3. Reads 16 bytes, so it stops 16 before the end. Returns the bytes consumed. */
__attribute__((target("ssse3"))) static size_t base64_wide(const u8 *in, size_t size, u8 *out) {
    const __m128i spread = _mm_set_epi8(10, 11, 9, 10, 7, 8, 6, 7, 4, 5, 3, 4, 1, 2, 0, 1);
    const __m128i offsets = _mm_setr_epi8('a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
                                          '0' - 52, '0' - 52, '0' - 52, '+' - 62, '/' - 63, 'A', 0, 0);
    size_t done = 0;
    for (; done + 16 <= size; done += 12, out += 16) {
        __m128i v = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(in + done)), spread);
        __m128i high = _mm_mulhi_epu16(_mm_and_si128(v, _mm_set1_epi32(0x0fc0fc00)), _mm_set1_epi32(0x04000040));
        __m128i low = _mm_mullo_epi16(_mm_and_si128(v, _mm_set1_epi32(0x003f03f0)), _mm_set1_epi32(0x01000010));
        __m128i six = _mm_or_si128(high, low);
        __m128i upper = _mm_and_si128(_mm_cmpgt_epi8(_mm_set1_epi8(26), six), _mm_set1_epi8(13));
        __m128i range = _mm_or_si128(_mm_subs_epu8(six, _mm_set1_epi8(51)), upper);
        _mm_storeu_si128((__m128i *)out, _mm_add_epi8(_mm_shuffle_epi8(offsets, range), six));
    }
    return done;
}
static int has_wide(void) { return __builtin_cpu_supports("ssse3"); }
#else
static size_t base64_wide(const u8 *in, size_t size, u8 *out) { (void)in, (void)size, (void)out; return 0; }
static int has_wide(void) { return 0; }
#endif

static size_t base64(const u8 *in, size_t size, u8 *out) {
    static int wide = -1;
    if (wide < 0) wide = has_wide();
    size_t done = wide ? base64_wide(in, size, out) : 0;
    u8 *o = out + done / 3 * 4;
    for (; done + 3 <= size; done += 3) {
        uint32_t v = (uint32_t)in[done] << 16 | (uint32_t)in[done + 1] << 8 | in[done + 2];
        *o++ = ALPHABET[v >> 18], *o++ = ALPHABET[v >> 12 & 63], *o++ = ALPHABET[v >> 6 & 63], *o++ = ALPHABET[v & 63];
    }
    if (done < size) {
        uint32_t v = (uint32_t)in[done] << 16 | (done + 1 < size ? (uint32_t)in[done + 1] << 8 : 0);
        *o++ = ALPHABET[v >> 18], *o++ = ALPHABET[v >> 12 & 63];
        *o++ = done + 1 < size ? ALPHABET[v >> 6 & 63] : '=';
        *o++ = '=';
    }
    return (size_t)(o - out);
}

/* ---- WebSocket client ---- */

/* Sends the payload that stands in `frame` after FRAME_HEAD as one masked text frame (RFC 6455, 5.2 and 5.3). */
static void send_text(int fd, size_t size) {
    u8 *payload = frame + FRAME_HEAD, *head;
    uint32_t mask = (uint32_t)random();
    size_t i = 0;
    if (size < 126) {
        head = payload - 6, head[1] = (u8)(0x80 | size);
    } else if (size < 65536) {
        head = payload - 8, head[1] = 0x80 | 126, head[2] = (u8)(size >> 8), head[3] = (u8)size;
    } else {
        head = payload - 14, head[1] = 0x80 | 127;
        for (int b = 0; b < 8; b++) head[2 + b] = (u8)((uint64_t)size >> (56 - 8 * b));
    }
    head[0] = 0x81;
    memcpy(payload - 4, &mask, 4);
    uint64_t twice = (uint64_t)mask << 32 | mask, word;
    for (; i + 8 <= size; i += 8) memcpy(&word, payload + i, 8), word ^= twice, memcpy(payload + i, &word, 8);
    for (; i < size; i++) payload[i] ^= ((u8 *)&mask)[i & 3];
    write_all(fd, head, (size_t)(payload - head) + size);
}

/* The connection of that session; the first call opens it and sends `init`. */
static Session *session_of(const char *name) {
    for (int i = 0; i < session_count; i++)
        if (!strcmp(sessions[i].name, name)) return &sessions[i];
    if (session_count == MAX_SESSIONS) die("too many sessions");
    Session *s = &sessions[session_count++];
    snprintf(s->name, sizeof s->name, "%s", name);
    s->fd = dial(ws_host, ws_port);
    char http[4096];
    int size = snprintf(http, sizeof http,
                        "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                        "phone-id: phone-%s\r\nsession-id: %s\r\n\r\n", ws_path, ws_host, ws_port, name, name);
    write_all(s->fd, http, (size_t)size);
    for (size = 0; size < 4 || memcmp(http + size - 4, "\r\n\r\n", 4); size++)
        if (size == sizeof http || read(s->fd, http + size, 1) != 1) die("handshake was cut short");
    if (size < 12 || memcmp(http + 8, " 101", 4)) die("handshake was refused");
    send_text(s->fd, (size_t)sprintf((char *)frame + FRAME_HEAD,
                                     "{\"type\":\"init\",\"session_id\":\"%s\",\"phone_id\":\"phone-%s\"}", name, name));
    return s;
}

/* ---- msgpack: just what audio messages contain ---- */

typedef struct { const u8 *at; uint64_t n; } Value; /* bytes or string: where and how long; integer: at NULL */

static uint64_t big_endian(const u8 *p, int bytes) {
    uint64_t n = 0;
    while (bytes--) n = n << 8 | *p++;
    return n;
}

/* Reads one scalar at p into v and returns what stands after it. */
static const u8 *value(const u8 *p, const u8 *end, Value *v) {
    if (p >= end) die("msgpack ends early");
    u8 t = *p++;
    int width = 0;
    *v = (Value){NULL, 0};
    if (t < 0x80) v->n = t;
    else if ((t & 0xe0) == 0xa0) v->at = p, v->n = t & 31;
    else if (t == 0xc4 || t == 0xd9) width = 1;
    else if (t == 0xc5 || t == 0xda) width = 2;
    else if (t == 0xc6 || t == 0xdb) width = 4;
    else if (t >= 0xcc && t <= 0xd3) v->n = big_endian(p, 1 << (t & 3)), p += 1 << (t & 3);
    else if (t == 0xca || t == 0xcb) p += t == 0xca ? 4 : 8;
    else if (t != 0xc0 && t != 0xc2 && t != 0xc3 && t < 0xe0) die("msgpack type is not of an audio message");
    if (width) v->n = big_endian(p, width), p += width, v->at = p;
    if (v->at) p += v->n;
    if (p > end) die("msgpack ends early");
    return p;
}

static int is(Value v, const char *word) { return v.at && v.n == strlen(word) && !memcmp(v.at, word, v.n); }

static void copy(Value v, char *to, size_t room) { snprintf(to, room, "%.*s", (int)v.n, v.at ? (const char *)v.at : ""); }

/* ---- forwarding ---- */

static size_t metadata(char *to, Session *s, const char *request) {
    return (size_t)sprintf(to, "\"metadata\":{\"sessionId\":\"%s\",\"requestId\":\"%s\",\"phoneId\":\"phone-%s\",\"text\":%s,"
                           "\"engine\":\"%s\",\"language\":\"%s\"}}", s->name, request, s->name, text_json, s->engine, s->language);
}

static void forward(char *subject, const u8 *p, const u8 *end) {
    Value key, v, kind = {0}, index = {0}, total = {0}, audio = {0}, format = {0}, engine = {0}, language = {0};
    char *request = strrchr(subject, '.'), *session;
    if (!request || p >= end || (*p & 0xf0) != 0x80) die("not an audio message");
    *request++ = 0, session = strrchr(subject, '.') + 1;
    for (int pairs = *p++ & 15; pairs--;) {
        p = value(value(p, end, &key), end, &v);
        if (is(key, "type")) kind = v;
        else if (is(key, "index")) index = v;
        else if (is(key, "audio")) audio = v;
        else if (is(key, "total_chunks")) total = v;
        else if (is(key, "format")) format = v;
        else if (is(key, "engine")) engine = v;
        else if (is(key, "language")) language = v;
    }
    Session *s = session_of(session);
    char *out = (char *)frame + FRAME_HEAD, *o = out;
    if (is(kind, "start")) {
        copy(format, s->format, sizeof s->format), copy(engine, s->engine, sizeof s->engine);
        copy(language, s->language, sizeof s->language);
        return;
    }
    if (is(kind, "chunk")) {
        o = stpcpy(o, "{\"audioDataBase64\":\"");
        o += base64(audio.at, audio.n, (u8 *)o);
        o += sprintf(o, "\",\"fileName\":\"%s.%s\",\"chunkIndex\":%llu,\"isFirst\":%s,", request,
                     strcmp(s->format, "wav") ? "pcm" : "wav", (unsigned long long)index.n, index.n ? "false" : "true");
        chunk_count++;
    } else {
        o += sprintf(o, "{\"status\":\"complete\",\"totalChunks\":%llu,", (unsigned long long)total.n);
    }
    o += metadata(o, s, request);
    send_text(s->fd, (size_t)(o - out));
}

/* Handles what is complete in [p, end) and returns where the incomplete rest begins. */
static u8 *take_all(int nats, u8 *p, u8 *end) {
    for (u8 *eol; p < end && (eol = memchr(p, '\r', (size_t)(end - p))) && eol + 1 < end;) {
        if (*p != 'M' && *p != 'H') {
            if (*p == '-') die((char *)p);
            if (eol - p >= 4 && !memcmp(p, "PING", 4)) write_all(nats, "PONG\r\n", 6);
            if (eol - p >= 4 && !memcmp(p, "PONG", 4)) puts("ready"), fflush(stdout);
            p = eol + 2;
            continue;
        }
        char line[4096], *words[7], *rest = line;
        int count = 0;
        snprintf(line, sizeof line, "%.*s", (int)(eol - p), p);
        while (count < 7 && (words[count] = strsep(&rest, " "))) count++;
        if (count < 4) die("malformed MSG");
        size_t total = strtoul(words[count - 1], NULL, 10), headers = *p == 'H' ? strtoul(words[count - 2], NULL, 10) : 0;
        u8 *body = eol + 2;
        if (total + 2 > (size_t)(end - body)) break;
        forward(words[1], body + headers, body + total);
        p = body + total + 2;
    }
    return p;
}

int main(int argc, char **argv) {
    if (argc != 8) die("usage: c_forwarder NATS_HOST NATS_PORT WS_HOST WS_PORT WS_PATH SUBJECT TEXT_JSON");
    ws_host = argv[3], ws_port = argv[4], ws_path = argv[5], text_json = argv[7];
    struct sigaction stop = {.sa_handler = on_signal}; /* without SA_RESTART: a blocked read returns */
    sigaction(SIGTERM, &stop, NULL), sigaction(SIGINT, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
    u8 *buffer = malloc(READ_BUFFER), *end = buffer;
    frame = malloc(FRAME_BUFFER);
    if (!buffer || !frame) die("out of memory");
    int nats = dial(argv[1], argv[2]);
    dprintf(nats, "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\"name\":\"c_forwarder\","
            "\"lang\":\"c\",\"version\":\"0\",\"protocol\":1}\r\nSUB %s 1\r\nPING\r\n", argv[6]);
    while (!stopping) {
        ssize_t n = read(nats, end, (size_t)(buffer + READ_BUFFER - end));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) die("NATS closed the connection");
        end += n;
        u8 *rest = take_all(nats, buffer, end);
        memmove(buffer, rest, (size_t)(end - rest));
        end -= rest - buffer;
    }
    finish();
}
