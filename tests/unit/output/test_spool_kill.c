// Processes that append, read and drop are killed by SIGKILL at any moment: everything that was
// acknowledged is there, in order, and nothing else but the end of a batch that nobody was told of;
// what was dropped does not come back.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spool_rig.h"

enum { KILLS = 120, BATCH = 4 };

// What parent and child both see. Numbers of a batch that was cut short are not used again.
struct told {
    _Atomic uint64_t appended; // the next number: those before are durable, but for the doubtful
    _Atomic uint64_t dropping; // numbers below this may have been dropped,
    _Atomic uint64_t dropped;  // and below this they surely were
    uint64_t doubtful[KILLS];  // a batch that begins here may be missing in part
    size_t n_doubtful;
};

// Whether a number that did not come need not have come.
static bool is_doubtful(const struct told *told, uint64_t number)
{
    for (size_t i = 0; i < told->n_doubtful; i++) {
        if (number >= told->doubtful[i] && number < told->doubtful[i] + BATCH) {
            return true;
        }
    }
    return false;
}

// The number behind the batch; 0 when a message is missing, or comes out of order.
static uint64_t follow(const struct told *told, uint64_t next, const struct spool_batch *b)
{
    for (size_t i = 0; i < b->n; i++, next++) {
        uint64_t number = message_number(b->payloads[i]);
        while (next < number && is_doubtful(told, next)) {
            next++;
        }
        if (next != number) {
            return 0;
        }
    }
    return next;
}

struct child {
    struct spool_rig *rig;
    struct told *told;
};

static void *append_for_ever(void *ctx)
{
    struct child *c = ctx;
    struct error err;
    for (;;) {
        uint64_t n = c->told->appended;
        if (append_numbers(c->rig->spool, n, BATCH, &err) == 0) {
            c->told->appended = n + BATCH;
        }
    }
    return NULL;
}

// Ends by a kill, or by what is wrong.
static void live(struct spool_rig *r, struct told *told, bool drops)
{
    pthread_t thread;
    struct child c = {r, told};
    rig_open(r);
    if (pthread_create(&thread, NULL, append_for_ever, &c) != 0) {
        _exit(1);
    }
    for (;;) {
        spool_read(r->spool, &r->batch, 3000);
        uint64_t next = follow(told, told->dropped, &r->batch);
        if (r->batch.n > 0 && next == 0) {
            _exit(2);
        }
        if (drops && r->batch.n > 0) {
            told->dropping = next;
            spool_drop(r->spool, &r->batch);
            told->dropped = next;
        }
    }
}

static void kill_one(struct spool_rig *r, struct told *told, int round)
{
    uint64_t begun = told->appended;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        live(r, told, round % 3 != 0);
    }
    int status = 0;
    while (told->appended == begun && waitpid(pid, &status, WNOHANG) == 0) {
        sched_yield(); // until it is at work
    }
    int64_t at = clock_mono(&clock_system).ns + round * 7919 % 5000 * NS_PER_US;
    while (clock_mono(&clock_system).ns < at) {
        sched_yield();
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

// All that is there: from what was dropped last to what was acknowledged last.
static void drain_all(struct spool_rig *r, struct told *told)
{
    uint64_t next = told->dropped, end;
    for (;; next = end) {
        spool_read(r->spool, &r->batch, 10000);
        if (r->batch.n == 0) {
            break;
        }
        end = follow(told, next, &r->batch);
        if (end == 0 && next < told->dropping) { // the last batch was dropped in fact
            next = told->dropping;
            end = follow(told, next, &r->batch);
        }
        assert_true(end > 0);
        spool_drop(r->spool, &r->batch);
    }
    for (; next < told->appended && next >= told->dropping; next++) {
        assert_true(is_doubtful(told, next));
    }
    told->dropped = told->dropping = told->appended;
}

// The first message there is the one behind those dropped.
static void look_at_first(struct spool_rig *r, struct told *told)
{
    spool_read(r->spool, &r->batch, 1);
    if (r->batch.n == 0) {
        told->dropped = told->dropping = told->appended;
        return;
    }
    uint64_t first = message_number(r->batch.payloads[0]);
    assert_true(first >= told->dropped);
    for (uint64_t missing = told->dropping; missing < first; missing++) {
        assert_true(is_doubtful(told, missing));
    }
    told->dropped = told->dropping = first;
}

static void test_kills(void **state)
{
    struct spool_rig *r = *state;
    struct told *told =
        mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    uint64_t cut = 0;
    r->config.segment_bytes = 15000;
    for (int round = 0; round < KILLS; round++) {
        kill_one(r, told, round);
        told->doubtful[told->n_doubtful++] = told->appended;
        told->appended += BATCH;
        rig_open(r);
        same(spool_stats(r->spool).damaged, 0);
        cut += spool_stats(r->spool).cut;
        if (round % 5 == 4) {
            drain_all(r, told);
        } else {
            look_at_first(r, told);
        }
        spool_close(r->spool);
        r->spool = NULL;
    }
    print_message("# %d kills, %llu messages, %llu bytes of half-written ends cut off\n", KILLS,
                  (unsigned long long)told->appended, (unsigned long long)cut);
    munmap(told, sizeof(*told));
}

int main(void)
{
    return TEST_RUN(TEST_WITH(test_kills, rig_setup, rig_teardown));
}
