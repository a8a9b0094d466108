#include "http/crowd.h"

#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

enum { VISITORS = 8 };

// Both ends of each connection; a visitor that was cut off reads the end of its stream.
struct room {
    struct http_crowd crowd;
    int near[VISITORS], far[VISITORS];
    struct http_visitor *visitors[VISITORS];
};

static struct mono at(int64_t seconds)
{
    return (struct mono){seconds * NS_PER_S};
}

static void room_open(struct room *r, size_t most, size_t most_of_one)
{
    *r = (struct room){0};
    crowd_init(&r->crowd, most, most_of_one, 30 * NS_PER_S);
    for (size_t i = 0; i < VISITORS; i++) {
        int ends[2];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        r->near[i] = ends[0];
        r->far[i] = ends[1];
    }
}

static void enter(struct room *r, size_t i, uint64_t address, int64_t seconds)
{
    r->visitors[i] = crowd_enter(&r->crowd, r->near[i], address, at(seconds));
}

static bool is_cut(const struct room *r, size_t i)
{
    char c;
    return read(r->far[i], &c, 1) == 0;
}

// "x" cut off, "-" not, of those who came.
static void assert_cut(const struct room *r, const char *want)
{
    char got[VISITORS + 1] = "";
    for (size_t i = 0; want[i]; i++) {
        got[i] = is_cut(r, i) ? 'x' : '-';
    }
    assert_string_equal(got, want);
}

static void room_close(struct room *r)
{
    for (size_t i = 0; i < VISITORS; i++) {
        if (r->visitors[i]) {
            crowd_leave(&r->crowd, r->visitors[i]);
        }
        close(r->near[i]);
        close(r->far[i]);
    }
    assert_i64((int64_t)r->crowd.n, 0);
    crowd_done(&r->crowd);
}

static void test_the_longest_waiting_goes(void **state)
{
    (void)state;
    struct room r;
    room_open(&r, 3, 3);
    for (size_t i = 0; i < 3; i++) {
        enter(&r, i, i, (int64_t)i);
    }
    assert_cut(&r, "---");
    enter(&r, 3, 9, 3);
    assert_cut(&r, "x---");
    assert_i64((int64_t)r.crowd.turned_away, 1);
    room_close(&r);
}

// Who is being served is not cut off, however long it takes; then it waits anew.
static void test_the_served_stay(void **state)
{
    (void)state;
    struct room r;
    room_open(&r, 2, 2);
    enter(&r, 0, 1, 0);
    enter(&r, 1, 1, 1);
    crowd_served(&r.crowd, r.visitors[0]);
    enter(&r, 2, 1, 2);
    assert_cut(&r, "-x-");
    crowd_sweep(&r.crowd, at(100));
    assert_cut(&r, "-xx");
    crowd_waits(&r.crowd, r.visitors[0], at(100));
    crowd_sweep(&r.crowd, at(129));
    assert_cut(&r, "-xx");
    crowd_sweep(&r.crowd, at(131));
    assert_cut(&r, "xxx");
    room_close(&r);
}

static void test_nobody_to_cut(void **state)
{
    (void)state;
    struct room r;
    room_open(&r, 1, 1);
    enter(&r, 0, 1, 0);
    crowd_served(&r.crowd, r.visitors[0]);
    enter(&r, 1, 1, 1);
    assert_cut(&r, "--");
    room_close(&r);
}

// Of an address that has too many, one of its own goes.
static void test_many_of_one_address(void **state)
{
    (void)state;
    struct room r;
    room_open(&r, 8, 2);
    enter(&r, 0, 7, 0);
    enter(&r, 1, 5, 1);
    enter(&r, 2, 5, 2);
    assert_cut(&r, "---");
    enter(&r, 3, 5, 3);
    assert_cut(&r, "-x--");
    room_close(&r);
}

// When memory is short it is taken from the one that has waited longest with some.
static void test_relief(void **state)
{
    (void)state;
    struct room r;
    room_open(&r, 8, 8);
    for (size_t i = 0; i < 4; i++) {
        enter(&r, i, i, (int64_t)i);
    }
    crowd_holds(&r.crowd, r.visitors[1], 100);
    crowd_holds(&r.crowd, r.visitors[2], 1000);
    crowd_holds(&r.crowd, r.visitors[3], 10);
    crowd_served(&r.crowd, r.visitors[1]);
    crowd_relieve(&r.crowd, r.visitors[3]);
    assert_cut(&r, "--x-");
    crowd_relieve(&r.crowd, r.visitors[3]); // nobody else
    assert_cut(&r, "--x-");
    crowd_relieve(&r.crowd, NULL);
    assert_cut(&r, "--xx");
    crowd_relieve(&r.crowd, NULL);
    assert_cut(&r, "--xx");
    room_close(&r);
}

static void test_patience(void **state)
{
    (void)state;
    struct room r;
    room_open(&r, 8, 8);
    enter(&r, 0, 1, 0);
    enter(&r, 1, 1, 10);
    assert_int_equal(crowd_sweep(&r.crowd, at(28)), 2 * NS_PER_S);
    crowd_sweep(&r.crowd, at(30));
    assert_cut(&r, "--");
    assert_int_equal(crowd_sweep(&r.crowd, at(31)), 9 * NS_PER_S);
    assert_cut(&r, "x-");
    assert_int_equal(crowd_sweep(&r.crowd, at(41)), 30 * NS_PER_S); // nobody waits any more
    assert_cut(&r, "xx");
    room_close(&r);
}

int main(void)
{
    return TEST_RUN(TEST(test_the_longest_waiting_goes), TEST(test_the_served_stay),
                    TEST(test_nobody_to_cut), TEST(test_many_of_one_address), TEST(test_patience),
                    TEST(test_relief));
}
