#include <errno.h>

#include "base/alloc.h"
#include "input/input_impl.h"

const struct input_driver *const input_drivers[] = {
    &input_file, &input_trace, &input_synthetic, &input_seed, NULL,
};

static const struct input_driver *find_driver(struct str scheme)
{
    size_t i = 0;
    while (input_drivers[i] && !str_eq(scheme, str_of(input_drivers[i]->scheme))) {
        i++;
    }
    return input_drivers[i];
}

static int no_driver(const struct uri *uri, struct error *err)
{
    struct buf list;
    buf_init(&list, ERROR_MSG_MAX);
    for (size_t i = 0; input_drivers[i]; i++) {
        buf_printf(&list, "%s%s:", i ? ", " : "", input_drivers[i]->scheme);
    }
    int r = error_set(err, -EINVAL, "no input is called '" STR_FMT ":'; there are: " STR_FMT,
                      STR_ARG(uri->scheme), STR_ARG(buf_view(&list)));
    buf_done(&list);
    return r;
}

static int check_options(const struct uri *uri, const struct input_driver *driver,
                         struct error *err)
{
    const char *known[URI_OPTIONS_MAX + 1] = {NULL};
    for (size_t i = 0; i < URI_OPTIONS_MAX && driver->options[i].name; i++) {
        known[i] = driver->options[i].name;
    }
    return uri_options_known(uri, known, err);
}

int input_open(const struct uri *uri, const struct input_env *env, struct input **ret,
               struct error *err)
{
    const struct input_driver *driver = find_driver(uri->scheme);
    if (driver == NULL) {
        return no_driver(uri, err);
    }
    int r = check_options(uri, driver, err);
    return r < 0 ? r : driver->open(uri, env, ret, err);
}

void input_close(struct input *in)
{
    if (in) {
        in->driver->close(in);
    }
}

const struct input_info *input_info(const struct input *in)
{
    return &in->info;
}

int input_seek(struct input *in, int64_t records, int64_t offset, struct error *err)
{
    return in->driver->seek(in, records, offset, err);
}

int input_next(struct input *in, struct batch *b, struct error *err)
{
    return in->driver->next(in, b, err);
}
