#include "cmd/price.h"
#include "test.h"

static void test_format(void **state)
{
    (void)state;
    static const struct {
        int64_t nusd;
        const char *want;
    } rows[] = {
        {0, "0.00"},           {2950000000, "2.95"},
        {2000000000, "2.00"},  {1234560000000, "1,234.56"},
        {2955000000, "2.955"}, {1, "0.000000001"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf b;
        buf_init(&b, 64);
        price_format(&b, rows[i].nusd);
        assert_str(buf_view(&b), rows[i].want);
        buf_done(&b);
    }
}

int main(void)
{
    return TEST_RUN(TEST(test_format));
}
