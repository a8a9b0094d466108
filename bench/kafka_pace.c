// How long a record takes from a producer to the store, at a given rate.
//
//     kafka_pace BROKERS METRIC_TOPIC USAGE_TOPIC RECORDS RATE SECONDS CONTROL_PORT DATABASE
//
// Produces the records of the file RECORDS (lines that gtap wrote) over and over, RATE of them a
// second, evenly, each with the present time as its `ts` and an event_id of its own, to topics that
// exist. After a second, in which the producer finds its brokers, every 10 ms the next record is a
// probe: its id is looked for in the fake mongod, whose control channel is at CONTROL_PORT of
// loopback, each millisecond until it is there. The time counts from before the producer is given
// the record until the fake's answer that it has it, so some of it is the asking: reported as
// asking_ms, the median of one question's time.
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/time.h"
#include "kafka.h"

enum { LINES_MAX = 100000, PROBES_MAX = 100000, PROBE_EVERY_MS = 10, GIVE_UP_S = 60, ID_MAX = 64 };
enum { WARM_UP_S = 1 };

struct times { // seconds
    double *v;
    size_t n, cap;
};

struct probe {
    char id[ID_MAX];
    int kind; // 0 sample, 1 usage
    double given_at;
};

struct pace {
    rd_kafka_t *rk;
    const char *topics[2], *database;
    struct str *lines;
    size_t n_lines;
    int64_t rate, seconds, produced;
    double late_s; // the most by which producing was
    char run[24];  // of this run's ids

    // Written by the producing thread, and then counted in `given`; read by the other.
    struct probe *probes;
    _Atomic size_t given;
    atomic_bool over;

    int control;
    struct times took, asking;
};

static double now_s(void)
{
    return clock_s(CLOCK_MONOTONIC);
}

static void pause_ms(long ms)
{
    struct timespec t = {.tv_nsec = ms * NS_PER_MS};
    nanosleep(&t, NULL);
}

// ---- producing -----------------------------------------------------------------------------

static void read_lines(struct pace *p, const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f) {
        give_up("%s cannot be read", path);
    }
    p->lines = x_array(LINES_MAX, sizeof(*p->lines));
    while (p->n_lines < LINES_MAX) {
        char *line = NULL;
        size_t cap = 0;
        ssize_t n = getline(&line, &cap, f);
        if (n <= 0) {
            free(line);
            break;
        }
        p->lines[p->n_lines++] = (struct str){line, (size_t)n};
    }
    fclose(f);
    if (p->n_lines == 0) {
        give_up("%s: no records", path);
    }
}

// {"ts":"...",...,"event_id":"..."}: the first and the last field are replaced.
static void write_record(struct str line, const char *id, struct buf *b)
{
    struct timespec t;
    struct str ts = text_after(line, STR("{\"ts\":\""));
    struct str old = text_after(line, STR("\"event_id\":\""));
    if (!str_present(ts) || !str_present(old) || old.p < ts.p) {
        give_up("not a record as gtap writes it: " STR_FMT, STR_ARG(line));
    }
    clock_gettime(CLOCK_REALTIME, &t);
    buf_clear(b);
    buf_cstr(b, "{\"ts\":\"");
    time_format_iso(b, t.tv_sec * NS_PER_S + t.tv_nsec);
    buf_add(b, ts.p + ts.n, (size_t)(old.p - (ts.p + ts.n)));
    buf_cstr(b, id);
    buf_cstr(b, "\"}");
}

static void produce_next(struct pace *p, bool is_probe, struct buf *b)
{
    size_t given = p->given;
    struct str line = p->lines[p->produced % (int64_t)p->n_lines];
    struct probe probe = {.kind = is_usage(line), .given_at = now_s()};
    snprintf(probe.id, sizeof(probe.id), "%s:%012" PRId64, p->run, p->produced);
    write_record(line, probe.id, b);
    if (is_probe && given < PROBES_MAX) {
        p->probes[given] = probe;
    }
    produce(p->rk, p->topics[probe.kind], host_of(line), buf_view(b));
    if (is_probe && given < PROBES_MAX) {
        p->given = given + 1;
    }
    p->produced++;
}

static void produce_all(struct pace *p)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    double began = now_s(), next_probe = began + WARM_UP_S;
    while (now_s() - began < (double)p->seconds) {
        double passed = now_s() - began;
        int64_t due = (int64_t)(passed * (double)p->rate);
        while (p->produced < due) {
            bool is_probe = now_s() >= next_probe;
            next_probe += is_probe ? PROBE_EVERY_MS / 1e3 : 0;
            produce_next(p, is_probe, &b);
        }
        double late = now_s() - began - passed;
        p->late_s = late > p->late_s ? late : p->late_s;
        rd_kafka_poll(p->rk, 0);
        pause_ms(1);
    }
    buf_done(&b);
}

// ---- asking for what was produced -----------------------------------------------------------

static void open_control(struct pace *p, uint16_t port)
{
    int on = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    p->control = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->control < 0 || connect(p->control, (struct sockaddr *)&at, sizeof(at)) < 0) {
        give_up("no control channel at port %d", port);
    }
    setsockopt(p->control, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static bool is_stored(struct pace *p, const struct probe *probe)
{
    static const char *const collections[2] = {"gpu_metrics", "token_usage"};
    char line[256], answer[256];
    double began = now_s();
    int n = snprintf(line, sizeof(line), "has %s.%s %s\n", p->database, collections[probe->kind],
                     probe->id);
    if (write(p->control, line, (size_t)n) != n) {
        give_up("the fake mongod is gone");
    }
    ssize_t got = 0;
    do {
        ssize_t more = read(p->control, answer + got, sizeof(answer) - 1 - (size_t)got);
        if (more <= 0) {
            give_up("the fake mongod is gone");
        }
        got += more;
    } while (answer[got - 1] != '\n');
    answer[got] = '\0';
    if (strncmp(answer, "ok ", 3) != 0) {
        give_up("%s%s", line, answer);
    }
    ARRAY_RESERVE(p->asking.v, p->asking.n, p->asking.cap);
    p->asking.v[p->asking.n++] = now_s() - began;
    return answer[3] == '1';
}

// Once for every probe that is still awaited, the oldest first.
static void ask(struct pace *p, size_t *awaited, size_t *n)
{
    size_t left = 0;
    for (size_t i = 0; i < *n; i++) {
        const struct probe *probe = &p->probes[awaited[i]];
        if (is_stored(p, probe)) {
            ARRAY_RESERVE(p->took.v, p->took.n, p->took.cap);
            p->took.v[p->took.n++] = now_s() - probe->given_at;
        } else if (now_s() - probe->given_at > GIVE_UP_S) {
            give_up("a record is not in the store after %d s", GIVE_UP_S);
        } else {
            awaited[left++] = awaited[i];
        }
    }
    *n = left;
}

static void *ask_all(void *arg)
{
    struct pace *p = arg;
    size_t *awaited AUTO_FREE = x_array(PROBES_MAX, sizeof(*awaited));
    size_t n = 0, seen = 0;
    for (bool over = false; !over || n > 0; pause_ms(1)) {
        over = p->over;
        for (size_t given = p->given; seen < given; seen++) {
            awaited[n++] = seen;
        }
        ask(p, awaited, &n);
    }
    return NULL;
}

// ---- the answer ----------------------------------------------------------------------------

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double share_ms(struct times *t, double share)
{
    qsort(t->v, t->n, sizeof(*t->v), compare);
    return t->n ? t->v[(size_t)(share * (double)(t->n - 1))] * 1e3 : 0;
}

static void tell(struct pace *p)
{
    printf("{\"produced\": %" PRId64 ", \"probes\": %zu, \"median_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"most_ms\": %.3f, \"asking_ms\": %.3f, \"late_ms\": %.3f}\n",
           p->produced, p->took.n, share_ms(&p->took, 0.5), share_ms(&p->took, 0.99),
           share_ms(&p->took, 1), share_ms(&p->asking, 0.5), p->late_s * 1e3);
}

int main(int argc, char **argv)
{
    static struct pace p;
    pthread_t asking;
    p.rate = argument(argc, argv, 5);
    p.seconds = argument(argc, argv, 6);
    open_control(&p, (uint16_t)argument(argc, argv, 7));
    if (argc != 9) {
        give_up("see the head of bench/kafka_pace.c for its arguments");
    }
    p.topics[0] = argv[2], p.topics[1] = argv[3], p.database = argv[8];
    read_lines(&p, argv[4]);
    p.probes = x_array(PROBES_MAX, sizeof(*p.probes));
    snprintf(p.run, sizeof(p.run), "pace-%08x", (unsigned)(int64_t)clock_s(CLOCK_REALTIME));
    p.rk = producer_new(argv[1], "5");
    if (pthread_create(&asking, NULL, ask_all, &p) != 0) {
        give_up("no thread");
    }
    produce_all(&p);
    producer_done(p.rk);
    p.over = true;
    pthread_join(asking, NULL);
    tell(&p);
    return 0;
}
