#include "input/wait.h"

#include <poll.h>
#include <time.h>

int input_wait(const struct input_env *env, int fd, int64_t ns)
{
    struct pollfd fds[] = {
        {.fd = fd, .events = POLLIN},
        {.fd = env->stop_fd, .events = POLLIN},
    };
    int64_t most = MAX(MIN(ns, INPUT_WAIT_NS), (int64_t)0);
    struct timespec timeout = {.tv_sec = most / NS_PER_S, .tv_nsec = most % NS_PER_S};
    // EINTR counts as "nothing yet": the caller is asked again anyway.
    return ppoll(fds, ARRAY_LEN(fds), &timeout, NULL) > 0 ? fds[0].revents : 0;
}
