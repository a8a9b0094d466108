#include "input/server_map.h"

#define SERVER_DEFINE(id, ...) const struct server server_##id = {__VA_ARGS__};
SERVER_TABLE(SERVER_DEFINE)
