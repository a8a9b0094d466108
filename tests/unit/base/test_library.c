#include "test.h"

#include <errno.h>
#include <zlib.h>

#include "base/library.h"

// zlib, since its two functions' results are known; it is not linked.
#define Z_FUNCTIONS(X) X(crc32) X(zlibVersion)

struct z_lib {
    Z_FUNCTIONS(LIBRARY_MEMBER)
};

static const char *const names[] = {Z_FUNCTIONS(LIBRARY_NAME)};
static int begun;

static void begin(void)
{
    begun++;
}

static void test_loads_once(void **state)
{
    (void)state;
    struct error err;
    struct z_lib z = {0};
    struct library l = LIBRARY("libz.so.1", "zlib1g", names, z, begin);
    begun = 0;
    assert_i64(library_load(&l, &err), 0);
    assert_i64(library_load(&l, &err), 0);
    assert_i64(begun, 1);
    assert_i64((int64_t)z.crc32(0, (const Bytef *)"123456789", 9), 0xcbf43926);
    assert_true(z.zlibVersion()[0] == '1');
}

static void *load_it(void *ctx)
{
    return library_load(ctx, NULL) == 0 ? ctx : NULL;
}

static void test_threads_load_it_once(void **state)
{
    (void)state;
    enum { N = 8 };
    pthread_t threads[N];
    struct z_lib z = {0};
    struct library l = LIBRARY("libz.so.1", "zlib1g", names, z, begin);
    begun = 0;
    for (int i = 0; i < N; i++) {
        assert_i64(pthread_create(&threads[i], NULL, load_it, &l), 0);
    }
    for (int i = 0; i < N; i++) {
        void *answer = NULL;
        assert_i64(pthread_join(threads[i], &answer), 0);
        assert_ptr_equal(answer, &l);
    }
    assert_i64(begun, 1);
    assert_non_null(z.crc32);
}

static void test_not_there(void **state)
{
    (void)state;
    struct error err;
    struct z_lib z = {0};
    struct library l = LIBRARY("libno-such-thing.so.7", "libno-such-thing7", names, z, begin);
    begun = 0;
    for (int i = 0; i < 2; i++) { // it may be installed meanwhile: asked again, it looks again
        assert_i64(library_load(&l, &err), -EOPNOTSUPP);
        assert_str(str_of(err.msg),
                   "libno-such-thing.so.7 cannot be loaded: install the package libno-such-thing7 "
                   "(libno-such-thing.so.7: cannot open shared object file: No such file or "
                   "directory)");
        assert_false(err.retryable);
    }
    l.soname = "libz.so.1";
    assert_i64(library_load(&l, &err), 0);
    assert_i64(begun, 1);
}

static void test_lacks_a_function(void **state)
{
    (void)state;
    static const char *const newer[] = {"crc32", "crc64_of_tomorrow"};
    struct error err;
    struct z_lib z = {0};
    struct library l = LIBRARY("libz.so.1", "zlib1g", newer, z, begin);
    begun = 0;
    assert_i64(library_load(&l, &err), -EOPNOTSUPP);
    assert_str(str_of(err.msg),
               "libz.so.1 lacks crc64_of_tomorrow: install a newer version of the package zlib1g");
    assert_i64(begun, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads_once),
        cmocka_unit_test(test_threads_load_it_once),
        cmocka_unit_test(test_not_there),
        cmocka_unit_test(test_lacks_a_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
