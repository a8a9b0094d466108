// Tells a service manager how a service fares, by systemd's protocol (sd_notify(3)): one datagram
// of VARIABLE=VALUE lines to the socket that NOTIFY_SOCKET names. Without one nothing is sent.
#pragma once

#include <stdint.h>

#include "base/time.h"

struct notifier {
    int fd;                 // -1: nobody to tell
    int64_t watchdog_ns;    // half of what WATCHDOG_USEC allows; 0: none
    struct mono last_alive; // when the watchdog was last told
    bool ready;
};

void notifier_init(struct notifier *n, const char *(*getenv)(const char *name));
void notifier_done(struct notifier *n);
// "READY=1", "STOPPING=1", "STATUS=...". A manager that does not listen is no failure of ours.
void notifier_tell(struct notifier *n, const char *text);
void notifier_alive(struct notifier *n, struct mono now); // when it is due
