// As much of SIP as a load generator needs: header lines of messages whose senders are known to be well-behaved.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/// Octets with a zero behind them.
struct text {
    const char *start;
    size_t length;
};

static inline bool startsWith(struct text message, const char *prefix) {
    return !strncmp(message.start, prefix, strlen(prefix));
}

/// The status of a response; 0 for a request.
static inline unsigned statusOf(struct text message) {
    return startsWith(message, "SIP/2.0 ") ? strtoul(message.start + 8, NULL, 10) : 0;
}

/// The first line after `from` that carries the header `name`; its length without the line end. NULL when there is none.
static inline const char *headerLine(const char *from, const char *name, size_t *length) {
    size_t nameLength = strlen(name);
    for (const char *line = from; line && *line; line = strstr(line, "\r\n"), line = line ? line + 2 : NULL) {
        if (line[0] == '\r') return NULL;  // the body follows
        if (strncasecmp(line, name, nameLength) || line[nameLength] != ':') continue;
        const char *end = strstr(line, "\r\n");
        if (!end) return NULL;
        *length = end - line;
        return line;
    }
    return NULL;
}

/// Appends every line of the header `name`, line ends included; returns the new length.
static inline size_t copyHeaders(struct text message, const char *name, char *out, size_t used, size_t capacity) {
    size_t length;
    for (const char *line = headerLine(message.start, name, &length); line; line = headerLine(line + length + 2, name, &length)) {
        if (used + length + 3 > capacity) break;
        memcpy(out + used, line, length + 2);
        used += length + 2;
    }
    out[used] = 0;
    return used;
}

/// The first line of the header `name` with its line end.
static inline bool copyHeaderLine(struct text message, const char *name, char *out, size_t capacity) {
    size_t length;
    const char *line = headerLine(message.start, name, &length);
    if (!line || length + 3 > capacity) return false;
    memcpy(out, line, length + 2);
    out[length + 2] = 0;
    return true;
}

static inline bool headerValue(struct text message, const char *name, char *out, size_t capacity) {
    size_t length;
    const char *line = headerLine(message.start, name, &length);
    if (!line) return false;
    const char *value = line + strlen(name) + 1, *end = line + length;
    while (value < end && *value == ' ') value++;
    if ((size_t)(end - value) >= capacity) return false;
    memcpy(out, value, end - value);
    out[end - value] = 0;
    return true;
}

/// What stands between < and > of the first Contact.
static inline bool contactURI(struct text message, char *out, size_t capacity) {
    char value[256];
    if (!headerValue(message, "Contact", value, sizeof value)) return false;
    char *start = strchr(value, '<'), *end = start ? strchr(start, '>') : NULL;
    if (!end || (size_t)(end - start) > capacity) return false;
    *end = 0;
    strcpy(out, start + 1);
    return true;
}

/// A Route line for each Record-Route, the last first (RFC 3261 §12.1.2).
static inline void routesOf(struct text message, char *out, size_t capacity) {
    const char *lines[8];
    size_t lengths[8], count = 0, used = 0, length;
    for (const char *line = headerLine(message.start, "Record-Route", &length); line && count < 8;
         line = headerLine(line + length + 2, "Record-Route", &length)) {
        lines[count] = line + strlen("Record-Route:");
        lengths[count++] = length - strlen("Record-Route:");
    }
    out[0] = 0;
    while (count-- > 0 && used + lengths[count] + 16 < capacity)
        used += sprintf(out + used, "Route:%.*s\r\n", (int)lengths[count], lines[count]);
}

/// The first MD5 challenge among the WWW-Authenticate headers.
static inline bool digestChallenge(struct text message, char *out, size_t capacity) {
    size_t length;
    static const char name[] = "WWW-Authenticate";
    for (const char *line = headerLine(message.start, name, &length); line; line = headerLine(line + length + 2, name, &length)) {
        if (length >= capacity) continue;
        memcpy(out, line, length);
        out[length] = 0;
        if (!strcasestr(out, "algorithm=") || strcasestr(out, "algorithm=MD5")) return true;
    }
    return false;
}

/// The value of `name="value"`.
static inline bool quoted(const char *text, const char *name, char *out, size_t capacity) {
    char pattern[32];
    snprintf(pattern, sizeof pattern, "%s=\"", name);
    const char *start = text;
    while ((start = strstr(start, pattern)) && start != text && start[-1] != ' ' && start[-1] != ',') start++;
    if (!start) return false;
    start += strlen(pattern);
    const char *end = strchr(start, '"');
    if (!end || (size_t)(end - start) >= capacity) return false;
    memcpy(out, start, end - start);
    out[end - start] = 0;
    return true;
}
