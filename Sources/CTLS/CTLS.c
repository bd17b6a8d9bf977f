#include "CTLS.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ctls_context {
    SSL_CTX *ctx;
};

struct ctls_session {
    SSL *ssl;
    // From the network, and for it; owned by `ssl`.
    BIO *in, *out;
    char error[256];
    char description[96];
    char subject[256];
};

// The first error of the queue, which is the cause, in words.
static void describe_errors(char *text, size_t size) {
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    // A system error, as of a file that is not there, has its errno as reason.
    if (code && !reason && ERR_SYSTEM_ERROR(code)) reason = strerror(ERR_GET_REASON(code));
    if (reason) snprintf(text, size, "%s", reason);
    else if (code) ERR_error_string_n(code, text, size);
    else snprintf(text, size, "unknown error");
    ERR_clear_error();
}

ctls_context *ctls_context_open(int is_server, const char *certificate, const char *key, const char *authorities, int verify,
                                char *error, size_t error_size, const char **culprit) {
    ERR_clear_error();
    *culprit = NULL;
    ctls_context *context = calloc(1, sizeof *context);
    if (context) context->ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    if (!context || !context->ctx) goto failed;
    SSL_CTX *ctx = context->ctx;
    if (!SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION)) goto failed;
    // Renegotiation by the client would cost us more than it.
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    // An idle connection gives its buffers back: many are idle.
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    if (is_server) {
        SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"relayd", 6);
        SSL_CTX_set_num_tickets(ctx, 1);
    }
    if (certificate) {
        *culprit = certificate;
        if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1) goto failed;
    }
    if (key) {
        *culprit = key;
        if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) goto failed;
    }
    *culprit = authorities;
    if (authorities) {
        if (SSL_CTX_load_verify_locations(ctx, authorities, NULL) != 1) goto failed;
        if (is_server) SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(authorities));
    } else if (verify != CTLS_VERIFY_NONE && SSL_CTX_set_default_verify_paths(ctx) != 1) {
        goto failed;
    }
    *culprit = NULL;
    int mode = verify == CTLS_VERIFY_NONE ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
    if (verify == CTLS_VERIFY_REQUIRED) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(ctx, mode, NULL);
    ERR_clear_error();
    return context;
failed:
    describe_errors(error, error_size);
    ctls_context_close(context);
    return NULL;
}

void ctls_context_close(ctls_context *context) {
    if (!context) return;
    SSL_CTX_free(context->ctx);
    free(context);
}

static int is_address(const char *name) {
    struct in6_addr address;
    return inet_pton(AF_INET, name, &address) == 1 || inet_pton(AF_INET6, name, &address) == 1;
}

ctls_session *ctls_session_open(ctls_context *context, int is_server, const char *name, int verify) {
    ERR_clear_error();
    ctls_session *session = calloc(1, sizeof *session);
    if (!session) return NULL;
    session->ssl = SSL_new(context->ctx);
    session->in = BIO_new(BIO_s_mem());
    session->out = BIO_new(BIO_s_mem());
    if (!session->ssl || !session->in || !session->out) {
        BIO_free(session->in);
        BIO_free(session->out);
        SSL_free(session->ssl);
        free(session);
        return NULL;
    }
    // An empty BIO is "not yet", never "the end".
    BIO_set_mem_eof_return(session->in, -1);
    BIO_set_mem_eof_return(session->out, -1);
    SSL_set_bio(session->ssl, session->in, session->out);
    if (is_server) {
        SSL_set_accept_state(session->ssl);
        return session;
    }
    SSL_set_connect_state(session->ssl);
    int is_good = 1;
    if (name && !is_address(name)) is_good = SSL_set_tlsext_host_name(session->ssl, name);
    if (verify) {
        if (name && is_address(name)) is_good = is_good && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session->ssl), name);
        else if (name) is_good = is_good && SSL_set1_host(session->ssl, name);
        SSL_set_verify(session->ssl, SSL_VERIFY_PEER, NULL);
    } else {
        SSL_set_verify(session->ssl, SSL_VERIFY_NONE, NULL);
    }
    if (!is_good) {
        ctls_session_close(session);
        return NULL;
    }
    return session;
}

void ctls_session_close(ctls_session *session) {
    if (!session) return;
    SSL_free(session->ssl);
    free(session);
}

int ctls_session_feed(ctls_session *session, const uint8_t *octets, size_t count) {
    while (count > 0) {
        int step = BIO_write(session->in, octets, count > INT_MAX ? INT_MAX : (int)count);
        if (step <= 0) return 0;
        octets += step;
        count -= (size_t)step;
    }
    return 1;
}

size_t ctls_session_pending(ctls_session *session) { return BIO_ctrl_pending(session->out); }

size_t ctls_session_take(ctls_session *session, uint8_t *octets, size_t count) {
    int taken = BIO_read(session->out, octets, count > INT_MAX ? INT_MAX : (int)count);
    return taken > 0 ? (size_t)taken : 0;
}

static int outcome(ctls_session *session, int result) {
    switch (SSL_get_error(session->ssl, result)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE: return CTLS_WAIT;
        case SSL_ERROR_ZERO_RETURN: return CTLS_CLOSED;
        default: break;
    }
    if (!session->error[0]) {
        long verified = SSL_get_verify_result(session->ssl);
        if (verified != X509_V_OK && !SSL_is_init_finished(session->ssl)) {
            snprintf(session->error, sizeof session->error, "certificate: %s", X509_verify_cert_error_string(verified));
            ERR_clear_error();
        } else {
            describe_errors(session->error, sizeof session->error);
        }
    }
    return CTLS_FAILED;
}

int ctls_session_handshake(ctls_session *session) {
    ERR_clear_error();
    int result = SSL_do_handshake(session->ssl);
    return result == 1 ? 1 : outcome(session, result);
}

int ctls_session_read(ctls_session *session, uint8_t *octets, size_t count) {
    ERR_clear_error();
    int result = SSL_read(session->ssl, octets, count > INT_MAX ? INT_MAX : (int)count);
    return result > 0 ? result : outcome(session, result);
}

int ctls_session_write(ctls_session *session, const uint8_t *octets, size_t count) {
    ERR_clear_error();
    if (count == 0) return 1;
    if (count > INT_MAX) return CTLS_FAILED;
    // A memory BIO takes everything, so this is never a part.
    int result = SSL_write(session->ssl, octets, (int)count);
    return result > 0 ? result : (outcome(session, result), CTLS_FAILED);
}

void ctls_session_end(ctls_session *session) {
    ERR_clear_error();
    if (SSL_is_init_finished(session->ssl) && !session->error[0]) SSL_shutdown(session->ssl);
    ERR_clear_error();
}

const char *ctls_session_error(const ctls_session *session) { return session->error; }

const char *ctls_session_description(ctls_session *session) {
    if (SSL_is_init_finished(session->ssl))
        snprintf(session->description, sizeof session->description, "%s %s", SSL_get_version(session->ssl),
                 SSL_get_cipher_name(session->ssl));
    return session->description;
}

const char *ctls_session_subject(ctls_session *session) {
    X509 *certificate = SSL_get1_peer_certificate(session->ssl);
    if (certificate) {
        BIO *text = BIO_new(BIO_s_mem());
        if (text) {
            X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
            int count = BIO_read(text, session->subject, sizeof session->subject - 1);
            session->subject[count > 0 ? count : 0] = 0;
            BIO_free(text);
        }
        X509_free(certificate);
    }
    return session->subject;
}
