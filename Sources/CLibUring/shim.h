// <sys/socket.h> first: liburing.h and SwiftGlibc otherwise disagree about fd_set.
#include <sys/socket.h>
#include <liburing.h>
