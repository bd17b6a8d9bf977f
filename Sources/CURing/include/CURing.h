#ifndef CURING_H
#define CURING_H
#include <sys/socket.h>
#include <liburing.h>
#endif
