// Addresses to listen on, as text and as sockets. Internal to src/http.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

struct http_address {
    struct sockaddr_storage socket;
    socklen_t n;
    bool local;
};
int address_parse(const char *text, struct http_address *ret, struct error *err) GTAP_CHECK;
int address_listen(const char *text, const struct http_address *a, int *ret_fd, uint16_t *ret_port,
                   struct error *err) GTAP_CHECK;
