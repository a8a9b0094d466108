#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http/server_impl.h"
#include "test.h"

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int family; // 0: refused
        uint16_t port;
        bool local;
    } rows[] = {
        {"127.0.0.1:8080", AF_INET, 8080, true},
        {"127.8.9.1:0", AF_INET, 0, true},
        {"192.0.2.1:80", AF_INET, 80, false},
        {"0.0.0.0:4318", AF_INET, 4318, false},
        {"[::1]:8080", AF_INET6, 8080, true},
        {"[2001:db8::1]:1", AF_INET6, 1, false},
        {":65535", AF_INET6, 65535, false},
        {":65536", 0, 0, false},
        {"127.0.0.1", 0, 0, false},
        {"127.0.0.1:", 0, 0, false},
        {"127.0.0.1:80x", 0, 0, false},
        {"127.0.0.1:-1", 0, 0, false},
        {"127.0.0.1:123456", 0, 0, false},
        {"", 0, 0, false},
        {"300.0.0.1:80", 0, 0, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_address a;
        struct error err;
        int r = address_parse(rows[i].text, &a, &err);
        if ((r == 0) != (rows[i].family != 0)) {
            fail_msg("'%s': %d", rows[i].text, r);
        }
        if (r < 0) {
            assert_i64(r, -EINVAL);
            assert_non_null(strstr(err.msg, rows[i].text));
            continue;
        }
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a.socket;
        assert_i64(a.socket.ss_family, rows[i].family);
        assert_i64(ntohs(in->sin_port), rows[i].port); // at the same place in both families
        assert_i64(a.local, rows[i].local);
    }
}

static void test_listen(void **state)
{
    (void)state;
    struct http_address a;
    struct error err;
    int first, second;
    uint16_t port, other;
    assert_ok(address_parse("127.0.0.1:0", &a, &err), &err);
    assert_ok(address_listen("127.0.0.1:0", &a, &first, &port, &err), &err);
    assert_true(port > 0);
    AUTO_FREE char *text = x_asprintf("127.0.0.1:%u", port);
    assert_ok(address_parse(text, &a, &err), &err);
    assert_i64(address_listen(text, &a, &second, &other, &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, "another program listens there"));
    close(first);
}

static struct sockaddr_storage peer(const char *text)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;
    bool is_v6 = strchr(text, ':') != NULL;
    a.ss_family = is_v6 ? AF_INET6 : AF_INET;
    assert_int_equal(inet_pton(a.ss_family, text, is_v6 ? (void *)&v6->sin6_addr : &v4->sin_addr),
                     1);
    return a;
}

static void test_local_peers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool local;
    } rows[] = {
        {"127.0.0.1", true}, {"127.255.0.9", true},      {"128.0.0.1", false},
        {"::1", true},       {"::ffff:127.0.0.1", true}, {"::", false},
        {"10.0.0.1", false}, {"::ffff:10.0.0.1", false}, {"2001:db8::1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sockaddr_storage a = peer(rows[i].text);
        if (guard_is_local((const struct sockaddr *)&a) != rows[i].local) {
            fail_msg("%s", rows[i].text);
        }
    }
}

// A host has its whole /64, and whatever port.
static void test_same_host(void **state)
{
    (void)state;
    struct sockaddr_storage a = peer("2001:db8::1"), b = peer("2001:db8::2"),
                            c = peer("2001:db8:0:1::1"), d = peer("192.0.2.1"),
                            e = peer("192.0.2.1"), f = peer("192.0.2.2");
    ((struct sockaddr_in *)&e)->sin_port = 7;
    assert_true(guard_address((struct sockaddr *)&a) == guard_address((struct sockaddr *)&b));
    assert_true(guard_address((struct sockaddr *)&a) != guard_address((struct sockaddr *)&c));
    assert_true(guard_address((struct sockaddr *)&d) == guard_address((struct sockaddr *)&e));
    assert_true(guard_address((struct sockaddr *)&d) != guard_address((struct sockaddr *)&f));
}

int main(void)
{
    return TEST_RUN(TEST(test_addresses), TEST(test_listen), TEST(test_local_peers),
                    TEST(test_same_host));
}
