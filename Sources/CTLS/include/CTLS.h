// TLS through OpenSSL over memory BIOs: octets from the network in, plain octets out, and the other way round. No socket.
//
// Most of OpenSSL's API is macros that Swift cannot import. A context is shared by the sessions of one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct ctls_context ctls_context;
typedef struct ctls_session ctls_session;

// What a peer is asked for.
enum {
    // Nothing: any certificate, or none, will do.
    CTLS_VERIFY_NONE = 0,
    // A server's certificate must be good. A client is asked for one; if it sends one, that must be good.
    CTLS_VERIFY_OFFERED = 1,
    // A client without a good certificate is refused.
    CTLS_VERIFY_REQUIRED = 2,
};

// Results of what takes or gives octets; counts are above zero.
enum {
    // Nothing now: more from the network is needed.
    CTLS_WAIT = 0,
    // The peer has ended the session in order.
    CTLS_CLOSED = -1,
    // The session is of no use any more; `ctls_session_error` says why.
    CTLS_FAILED = -2,
};

// TLS 1.2 or newer. Paths may be NULL: a client needs no certificate, and without `authorities` those of the system count.
// NULL on failure; `error` then has the reason, and `culprit` the path it is about or NULL.
ctls_context *ctls_context_open(int is_server, const char *certificate, const char *key, const char *authorities, int verify,
                                char *error, size_t error_size, const char **culprit);
void ctls_context_close(ctls_context *context);

// `name` is what a client asks for (SNI, unless it is an address) and, with `verify`, what the certificate must be for.
// NULL when no memory is left.
ctls_session *ctls_session_open(ctls_context *context, int is_server, const char *name, int verify);
void ctls_session_close(ctls_session *session);

// Takes octets from the network; 0 when no memory is left.
int ctls_session_feed(ctls_session *session, const uint8_t *octets, size_t count);
// Octets for the network that are waiting, and taking up to `count` of them.
size_t ctls_session_pending(ctls_session *session);
size_t ctls_session_take(ctls_session *session, uint8_t *octets, size_t count);

// Goes on with the handshake: 1 when it is done, CTLS_WAIT, CTLS_CLOSED or CTLS_FAILED.
int ctls_session_handshake(ctls_session *session);
// Plain octets: how many there were, CTLS_WAIT, CTLS_CLOSED or CTLS_FAILED.
int ctls_session_read(ctls_session *session, uint8_t *octets, size_t count);
// All of them, or CTLS_FAILED. Only after the handshake.
int ctls_session_write(ctls_session *session, const uint8_t *octets, size_t count);
// Tells the peer that no more will come.
void ctls_session_end(ctls_session *session);

// Why the session failed, as one line. Valid until the next call.
const char *ctls_session_error(const ctls_session *session);
// `TLSv1.3 TLS_AES_256_GCM_SHA384`; empty before the handshake is done.
const char *ctls_session_description(ctls_session *session);
// The subject of the peer's certificate; empty without one.
const char *ctls_session_subject(ctls_session *session);
