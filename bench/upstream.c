/* The provider side of the overhead benchmark: one thread, epoll, HTTP/1.1 keep-alive.
 *
 *   upstream PORT ANSWER EVENT TAIL
 *
 * ANSWER is the body of a whole JSON answer. EVENT is one server-sent content event in which
 * "stamp=" is followed by 19 digits, overwritten with CLOCK_MONOTONIC nanoseconds at each write.
 * TAIL holds the closing events (finish, usage, [DONE]), each ending in an empty line.
 * Every POST is answered; it is a stream if the first or last 512 bytes of its body say
 * "stream": true. Each event is one write of one HTTP chunk.
 *
 *   GET /bench/set?delay_us=D&pace_us=P&chunks=N&poll=0   waits before an answer, between events,
 *                                                  events, whether to poll instead of sleeping
 *   GET /bench/stats                               {"requests": POSTs answered since last set}
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define STAMP_DIGITS 19
#define CONNECTIONS_MOST 4096

typedef struct {
    int fd;
    char *in;
    size_t in_len, in_cap;
    int is_busy, is_stream, chunks_left;
    long phase; /* 1..64: the share of the pace that a stream's first gap lasts */
    int64_t due_ns; /* when the next write is due; 0 = nothing waits */
} Conn;

typedef struct {
    char *text;
    size_t len;
} Text;

static Conn *conns[CONNECTIONS_MOST];
static Text answer, event, tail;
static char *stamp_at; /* the digits within event.text */
static long delay_us, pace_us, chunks = 100, is_polling, requests;
static int poller, timer;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static Text slurp(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) { perror(path); exit(2); }
    fseek(file, 0, SEEK_END);
    Text text = {NULL, (size_t)ftell(file)};
    rewind(file);
    text.text = calloc(1, text.len + 1);
    if (fread(text.text, 1, text.len, file) != text.len) { perror(path); exit(2); }
    fclose(file);
    return text;
}

/* Writes all of it, waiting for room where the socket has none. 0 = the peer is gone. */
static int put(Conn *conn, const char *data, size_t len) {
    while (len) {
        ssize_t n = send(conn->fd, data, len, MSG_NOSIGNAL);
        if (n > 0) { data += n; len -= (size_t)n; continue; }
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno != EAGAIN) return 0;
        struct pollfd wait = {conn->fd, POLLOUT, 0};
        if (poll(&wait, 1, 5000) <= 0) return 0;
    }
    return 1;
}

static int put_chunk(Conn *conn, const char *data, size_t len) {
    char out[8192];
    int head = snprintf(out, sizeof out, "%zx\r\n", len);
    memcpy(out + head, data, len);
    memcpy(out + head + len, "\r\n", 2);
    return put(conn, out, (size_t)head + len + 2);
}

static int put_event(Conn *conn) {
    char stamp[STAMP_DIGITS + 1];
    snprintf(stamp, sizeof stamp, "%0*lld", STAMP_DIGITS, (long long)now_ns());
    memcpy(stamp_at, stamp, STAMP_DIGITS);
    return put_chunk(conn, event.text, event.len);
}

static int put_tail(Conn *conn) {
    for (char *at = tail.text, *end; (end = strstr(at, "\n\n")); at = end + 2)
        if (!put_chunk(conn, at, (size_t)(end + 2 - at))) return 0;
    return put(conn, "0\r\n\r\n", 5);
}

static int put_json(Conn *conn, const char *status, const char *body, size_t len) {
    char out[16384];
    int head = snprintf(out, sizeof out,
        "HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n", status, len);
    memcpy(out + head, body, len);
    return put(conn, out, (size_t)head + len);
}

/* Does what is due for a connection: the next event(s) of a stream, or the whole answer. */
static int step(Conn *conn) {
    conn->due_ns = 0;
    if (!conn->is_stream) {
        conn->is_busy = 0;
        return put_json(conn, "200 OK", answer.text, answer.len);
    }
    while (conn->chunks_left > 0) {
        if (!put_event(conn)) return 0;
        conn->chunks_left--;
        if (pace_us) {
            int is_first = conn->chunks_left == chunks - 1; /* phases differ, or all would speak at once */
            conn->due_ns = now_ns() + pace_us * 1000 * (is_first ? conn->phase : 64) / 64;
            return 1;
        }
    }
    conn->is_busy = 0;
    return put_tail(conn);
}

static int says_stream(const char *data, size_t len) {
    const char *at = memmem(data, len, "\"stream\":", 9);
    if (!at) return 0;
    for (at += 9; at < data + len && *at == ' '; at++) {}
    return at < data + len && *at == 't';
}

static int begin(Conn *conn, const char *body, size_t len) {
    size_t edge = len < 512 ? len : 512;
    requests++;
    conn->phase = requests % 64 + 1;
    conn->is_busy = 1;
    conn->chunks_left = (int)chunks;
    conn->is_stream = says_stream(body, edge) || says_stream(body + len - edge, edge);
    if (conn->is_stream) {
        static const char head[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                                   "cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";
        if (!put(conn, head, sizeof head - 1)) return 0;
    }
    if (delay_us) { conn->due_ns = now_ns() + delay_us * 1000; return 1; }
    return step(conn);
}

static int control(Conn *conn) {
    char out[128];
    if (!strncmp(conn->in, "GET /bench/set?", 15)) {
        sscanf(conn->in, "GET /bench/set?delay_us=%ld&pace_us=%ld&chunks=%ld&poll=%ld",
               &delay_us, &pace_us, &chunks, &is_polling);
        requests = 0;
    } else if (strncmp(conn->in, "GET /bench/stats", 16)) {
        return put_json(conn, "404 Not Found", "{}", 2);
    }
    int len = snprintf(out, sizeof out, "{\"requests\": %ld}", requests);
    return put_json(conn, "200 OK", out, (size_t)len);
}

/* Answers every whole request in the buffer. 0 = close the connection. */
static int serve(Conn *conn) {
    while (!conn->is_busy && conn->in_len) {
        char *end = memmem(conn->in, conn->in_len, "\r\n\r\n", 4);
        if (!end) return 1;
        *end = 0;
        char *length = strcasestr(conn->in, "\ncontent-length:");
        size_t body = length ? strtoul(length + 16, NULL, 10) : 0;
        size_t whole = (size_t)(end + 4 - conn->in) + body;
        *end = '\r';
        if (conn->in_len < whole) return 1;
        int is_fine = conn->in[0] == 'P' ? begin(conn, end + 4, body) : control(conn);
        if (!is_fine) return 0;
        memmove(conn->in, conn->in + whole, conn->in_len - whole);
        conn->in_len -= whole;
    }
    return 1;
}

static int receive(Conn *conn) {
    if (conn->in_cap - conn->in_len < 65536)
        conn->in = realloc(conn->in, conn->in_cap = conn->in_cap * 2 + 131072);
    ssize_t n = recv(conn->fd, conn->in + conn->in_len, conn->in_cap - conn->in_len - 1, 0);
    if (n <= 0) return n < 0 && (errno == EAGAIN || errno == EINTR);
    conn->in_len += (size_t)n;
    return serve(conn);
}

static void drop(Conn *conn) {
    conns[conn->fd] = NULL;
    close(conn->fd);
    free(conn->in);
    free(conn);
}

static void greet(int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fd >= CONNECTIONS_MOST) { close(fd); continue; }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        conns[fd] = calloc(1, sizeof(Conn));
        conns[fd]->fd = fd;
        struct epoll_event want = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &want);
    }
}

/* Serves what is due and sets the timer for what comes next. */
static void run_due(void) {
    int64_t now = now_ns(), next = 0;
    for (int fd = 0; fd < CONNECTIONS_MOST; fd++) {
        Conn *conn = conns[fd];
        if (!conn || !conn->due_ns) continue;
        if (conn->due_ns <= now && !(step(conn) && serve(conn))) { drop(conn); continue; }
        if (conn->due_ns && (!next || conn->due_ns < next)) next = conn->due_ns;
    }
    struct itimerspec at = {{0, 0}, {next / 1000000000, next % 1000000000}};
    timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

int main(int argc, char **argv) {
    if (argc != 5) { fprintf(stderr, "upstream PORT ANSWER EVENT TAIL\n"); return 2; }
    answer = slurp(argv[2]);
    event = slurp(argv[3]);
    tail = slurp(argv[4]);
    stamp_at = strstr(event.text, "stamp=");
    if (!stamp_at) { fprintf(stderr, "upstream: no stamp in %s\n", argv[3]); return 2; }
    stamp_at += 6;
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[1])),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 4096)) {
        perror("upstream");
        return 2;
    }
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int own[] = {listener, timer};
    for (int i = 0; i < 2; i++) {
        struct epoll_event want = {.events = EPOLLIN, .data.fd = own[i]};
        epoll_ctl(poller, EPOLL_CTL_ADD, own[i], &want);
    }
    for (;;) {
        struct epoll_event ready[256];
        int n = epoll_wait(poller, ready, 256, is_polling ? 0 : -1), has_due = 0;
        if (is_polling && n == 0) sched_yield();
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == listener) { greet(listener); continue; }
            if (fd == timer) {
                uint64_t ticks;
                has_due |= read(timer, &ticks, sizeof ticks) > 0;
                continue;
            }
            Conn *conn = conns[fd];
            if (!conn) continue;
            if (!receive(conn)) { drop(conn); continue; }
            has_due |= conn->due_ns != 0;
        }
        if (has_due) run_due();
    }
}
