#include "base/library.h"

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <string.h>

_Static_assert(sizeof(void *) == sizeof(void (*)(void)), "POSIX: dlsym() gives functions too");

static int look_up(const struct library *l, void *handle, struct error *err)
{
    for (size_t i = 0; i < l->n; i++) {
        void *found = dlsym(handle, l->names[i]);
        if (found == NULL) {
            return error_set(err, -EOPNOTSUPP,
                             "%s lacks %s: install a newer version of the package %s", l->soname,
                             l->names[i], l->package);
        }
        memcpy((char *)l->table + i * sizeof(found), &found, sizeof(found));
    }
    return 0;
}

static int load(const struct library *l, struct error *err)
{
    assert(l->table_bytes == l->n * sizeof(void *));
    void *handle = dlopen(l->soname, RTLD_LAZY | RTLD_LOCAL);
    if (handle == NULL) {
        const char *why = dlerror();
        return error_set(err, -EOPNOTSUPP, "%s cannot be loaded: install the package %s (%s)",
                         l->soname, l->package, why ? why : "no reason was given");
    }
    int r = look_up(l, handle, err);
    if (r < 0) {
        dlclose(handle);
    }
    return r;
}

int library_load(struct library *l, struct error *err)
{
    int r = 0;
    pthread_mutex_lock(&l->lock);
    if (!l->loaded) {
        r = load(l, err);
        l->loaded = r == 0;
        if (l->loaded && l->begin) {
            l->begin();
        }
    }
    pthread_mutex_unlock(&l->lock);
    return r;
}
