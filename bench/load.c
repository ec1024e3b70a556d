/* The client side of the overhead benchmark: one thread, epoll, closed loop over keep-alive.
 *
 *   load PORT REQUEST CONNECTIONS SECONDS REQUESTS LENGTH EVENTS POLL NEEDLE
 *
 * REQUEST is a file with one whole HTTP request; twelve '@' in it are overwritten with a serial
 * number, so that no two requests are equal. Each connection sends, waits for the whole answer
 * and sends again until SECONDS are over or REQUESTS were sent (0 = no such limit); what is under
 * way is then awaited. An answer must have status 200, LENGTH body bytes (0 = any), EVENTS stamped
 * events (0 = not a stream) and NEEDLE in it. With POLL 1 it asks for news again and again and
 * never sleeps, so that nobody pays for waking it.
 *
 * Prints "ready" when all connections stand, waits for a line on stdin, runs, prints one JSON
 * line, and keeps its connections until stdin ends. Times are CLOCK_MONOTONIC, in nanoseconds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define STAMP_DIGITS 19
#define SERIAL_DIGITS 12
#define DRAIN_S 90

typedef struct {
    int64_t *at;
    size_t len, cap;
} Samples;

typedef struct {
    int fd, is_busy, waits_for_room;
    char *request, *serial; /* its own copy, so that the serial number can be written into it */
    size_t sent;
    int64_t start_ns;
    char *in; /* the answer as it came */
    size_t in_len, in_cap, head_len, raw_at;
    int is_chunked, has_ended, closes;
    size_t length;
    char *body; /* de-chunked; for a plain answer it points into `in` */
    size_t body_len, body_cap, scanned;
    long events;
} Conn;

static Samples latencies, firsts, delays;
static long serial, failures, reconnects, in_flight, completed, requests_most, length_wanted, events_wanted;
static const char *needle;
static char *request_text, first_failure[160];
static size_t request_len, serial_at;
static uint16_t port;
static int poller;
static int64_t begin_ns, end_ns, last_ns;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void note(Samples *samples, int64_t value) {
    if (samples->len == samples->cap)
        samples->at = realloc(samples->at, (samples->cap = samples->cap * 2 + 65536) * sizeof(int64_t));
    samples->at[samples->len++] = value;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, Samples *samples) {
    static const double shares[] = {0.5, 0.9, 0.99, 0.999, 1.0};
    static const char *names[] = {"p50", "p90", "p99", "p999", "max"};
    qsort(samples->at, samples->len, sizeof(int64_t), by_value);
    printf(", \"%s\": {\"n\": %zu", name, samples->len);
    for (int i = 0; samples->len && i < 5; i++) {
        size_t rank = (size_t)(shares[i] * (double)samples->len); /* nearest rank */
        printf(", \"%s\": %lld", names[i], (long long)samples->at[rank < samples->len ? rank : samples->len - 1]);
    }
    printf("}");
}

static void dial(Conn *conn) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    conn->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(conn->fd, (struct sockaddr *)&there, sizeof there)) { perror("load: connect"); exit(3); }
    struct epoll_event want = {.events = EPOLLIN, .data.ptr = conn};
    epoll_ctl(poller, EPOLL_CTL_ADD, conn->fd, &want);
}

static void redial(Conn *conn) {
    close(conn->fd);
    reconnects++;
    conn->waits_for_room = 0;
    dial(conn);
}

static void fail(Conn *conn, const char *why) {
    if (failures++) return;
    snprintf(first_failure, sizeof first_failure, "%s; answer begins: %.60s", why, conn->in_len ? conn->in : "");
    for (char *at = first_failure; *at; at++) /* it goes into JSON */
        if (*at < ' ' || *at == '"' || *at == '\\') *at = ' ';
}

/* Sends what is left of the request; asks for EPOLLOUT while the socket is full. */
static void push(Conn *conn) {
    int is_full = 0;
    while (conn->sent < request_len && !is_full) {
        ssize_t n = send(conn->fd, conn->request + conn->sent, request_len - conn->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) conn->sent += (size_t)n;
        else if (errno != EINTR) is_full = 1; /* or broken, which the next read will tell */
    }
    if (is_full == conn->waits_for_room) return;
    conn->waits_for_room = is_full;
    struct epoll_event want = {.events = is_full ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = conn};
    epoll_ctl(poller, EPOLL_CTL_MOD, conn->fd, &want);
}

static void ask(Conn *conn) {
    int64_t now = now_ns();
    if (now >= end_ns || (requests_most && serial >= requests_most)) return;
    serial++;
    for (long rest = serial, i = SERIAL_DIGITS - 1; i >= 0; rest /= 10, i--)
        conn->serial[i] = (char)('0' + rest % 10);
    conn->sent = conn->in_len = conn->head_len = conn->raw_at = conn->body_len = conn->scanned = 0;
    conn->is_chunked = conn->has_ended = conn->closes = 0;
    conn->events = 0;
    conn->is_busy = 1;
    in_flight++;
    conn->start_ns = now_ns();
    push(conn);
}

static int read_head(Conn *conn) {
    char *end = memmem(conn->in, conn->in_len, "\r\n\r\n", 4);
    if (!end) return 0;
    *end = 0;
    char *length = strcasestr(conn->in, "\ncontent-length:");
    char *coding = strcasestr(conn->in, "\ntransfer-encoding:"), *fate = strcasestr(conn->in, "\nconnection:");
    conn->is_chunked = coding && !strncasecmp(coding + 19 + strspn(coding + 19, " "), "chunked", 7);
    conn->closes = fate && !strncasecmp(fate + 12 + strspn(fate + 12, " "), "close", 5);
    conn->length = length ? strtoul(length + 16, NULL, 10) : 0;
    *end = '\r';
    conn->head_len = conn->raw_at = (size_t)(end + 4 - conn->in);
    return 1;
}

/* Moves whole HTTP chunks from `in` to `body`. */
static void dechunk(Conn *conn) {
    while (!conn->has_ended) {
        char *at = conn->in + conn->raw_at, *line = memmem(at, conn->in_len - conn->raw_at, "\r\n", 2);
        if (!line) return;
        size_t size = strtoul(at, NULL, 16), whole = (size_t)(line + 2 - at) + size + 2;
        if (conn->in_len - conn->raw_at < whole) return;
        if (conn->body_len + size + 1 > conn->body_cap)
            conn->body = realloc(conn->body, conn->body_cap = (conn->body_len + size + 1) * 2);
        memcpy(conn->body + conn->body_len, line + 2, size);
        conn->body_len += size;
        conn->raw_at += whole;
        conn->has_ended = size == 0;
    }
}

static void scan_stamps(Conn *conn) {
    int64_t now = now_ns();
    for (;;) {
        char *at = memmem(conn->body + conn->scanned, conn->body_len - conn->scanned, "stamp=", 6);
        if (!at || at + 6 + STAMP_DIGITS > conn->body + conn->body_len) return;
        char digits[STAMP_DIGITS + 1] = {0};
        memcpy(digits, at + 6, STAMP_DIGITS);
        note(&delays, now - strtoll(digits, NULL, 10));
        if (!conn->events++) note(&firsts, now - conn->start_ns);
        conn->scanned = (size_t)(at - conn->body) + 6 + STAMP_DIGITS;
    }
}

static void finish(Conn *conn) {
    const char *body = conn->is_chunked ? conn->body : conn->in + conn->head_len;
    size_t len = conn->is_chunked ? conn->body_len : conn->length;
    last_ns = now_ns();
    note(&latencies, last_ns - conn->start_ns);
    completed++;
    in_flight--;
    conn->is_busy = 0;
    if (strncmp(conn->in, "HTTP/1.1 200", 12)) fail(conn, "not a 200");
    else if (length_wanted && len != (size_t)length_wanted) fail(conn, "wrong body length");
    else if (events_wanted && !conn->is_chunked) fail(conn, "the stream came as one body");
    else if (conn->events != events_wanted) fail(conn, "wrong number of events");
    else if (!memmem(body, len, needle, strlen(needle))) fail(conn, "answer lacks what it must hold");
    if (conn->closes) redial(conn);
    ask(conn);
}

static void lose(Conn *conn) {
    if (conn->is_busy) { fail(conn, "connection lost"); in_flight--; conn->is_busy = 0; }
    if (failures > 100) { end_ns = 0; close(conn->fd); return; }
    redial(conn);
    ask(conn);
}

static void receive(Conn *conn) {
    if (conn->in_cap - conn->in_len < 65536)
        conn->in = realloc(conn->in, conn->in_cap = conn->in_cap * 2 + 131072);
    ssize_t n = recv(conn->fd, conn->in + conn->in_len, conn->in_cap - conn->in_len - 1, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0 || !conn->is_busy) { lose(conn); return; }
    conn->in[conn->in_len += (size_t)n] = 0;
    if (!conn->head_len && !read_head(conn)) return;
    if (!conn->is_chunked) {
        if (conn->in_len >= conn->head_len + conn->length) finish(conn);
        return;
    }
    dechunk(conn);
    if (events_wanted && conn->body_len) scan_stamps(conn);
    if (conn->has_ended) finish(conn);
}

static void load_request(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) { perror(path); exit(2); }
    fseek(file, 0, SEEK_END);
    request_len = (size_t)ftell(file);
    rewind(file);
    request_text = malloc(request_len);
    if (fread(request_text, 1, request_len, file) != request_len) exit(2);
    fclose(file);
    char *at = memmem(request_text, request_len, "@@@@@@@@@@@@", SERIAL_DIGITS);
    if (!at) { fprintf(stderr, "load: no place for a serial number in %s\n", path); exit(2); }
    serial_at = (size_t)(at - request_text);
}

int main(int argc, char **argv) {
    if (argc != 10) {
        fprintf(stderr, "load PORT REQUEST CONNECTIONS SECONDS REQUESTS LENGTH EVENTS POLL NEEDLE\n");
        return 2;
    }
    port = (uint16_t)atoi(argv[1]);
    load_request(argv[2]);
    int connections = atoi(argv[3]);
    double seconds = atof(argv[4]);
    requests_most = atol(argv[5]);
    length_wanted = atol(argv[6]);
    events_wanted = atol(argv[7]);
    int is_polling = atoi(argv[8]);
    needle = argv[9];
    poller = epoll_create1(0);
    Conn *conns = calloc((size_t)connections, sizeof(Conn));
    for (int i = 0; i < connections; i++) {
        conns[i].request = malloc(request_len);
        memcpy(conns[i].request, request_text, request_len);
        conns[i].serial = conns[i].request + serial_at;
        dial(&conns[i]);
    }
    printf("ready\n");
    fflush(stdout);
    if (getchar() == EOF) return 2;
    begin_ns = last_ns = now_ns();
    end_ns = begin_ns + (int64_t)(seconds * 1e9);
    int64_t give_up_ns = end_ns + (int64_t)DRAIN_S * 1000000000;
    for (int i = 0; i < connections; i++) ask(&conns[i]);
    while (in_flight && now_ns() < give_up_ns) {
        struct epoll_event ready[256];
        int n = epoll_wait(poller, ready, 256, is_polling ? 0 : 1000);
        if (is_polling && n == 0) sched_yield();
        for (int i = 0; i < n; i++) {
            Conn *conn = ready[i].data.ptr;
            if (ready[i].events & EPOLLOUT) push(conn);
            if (ready[i].events & ~(uint32_t)EPOLLOUT) receive(conn);
        }
    }
    printf("{\"sent\": %ld, \"completed\": %ld, \"failures\": %ld, \"first_failure\": \"%s\", \"reconnects\": %ld, \"elapsed_ns\": %lld",
           serial, completed, failures + in_flight, first_failure, reconnects, (long long)(last_ns - begin_ns));
    print_samples("latency_ns", &latencies);
    print_samples("first_event_ns", &firsts);
    print_samples("event_delay_ns", &delays);
    printf("}\n");
    fflush(stdout);
    while (getchar() != EOF) {}
    return 0;
}
