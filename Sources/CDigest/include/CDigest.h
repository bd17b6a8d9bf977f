// MD5, SHA-256 and HMAC-SHA-256 through OpenSSL's EVP, which Swift cannot use without a look-up per digest.
//
// Algorithms are fetched once: a fetch costs more than the digest of a SIP response. A context belongs to one thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct cdigest_hash cdigest_hash;
typedef struct cdigest_mac cdigest_mac;

enum { CDIGEST_MD5 = 0, CDIGEST_SHA256 = 1 };

// NULL when this OpenSSL does not have the algorithm, as MD5 in FIPS mode, or no memory is left.
cdigest_hash *cdigest_hash_open(int algorithm);
void cdigest_hash_close(cdigest_hash *hash);
// Writes 16 (MD5) or 32 octets (SHA-256).
void cdigest_hash_compute(cdigest_hash *hash, const void *octets, size_t count, uint8_t *output);

// HMAC-SHA-256 with one key for good; NULL as above.
cdigest_mac *cdigest_mac_open(const uint8_t *key, size_t count);
void cdigest_mac_close(cdigest_mac *mac);
// Writes 32 octets.
void cdigest_mac_compute(cdigest_mac *mac, const void *octets, size_t count, uint8_t *output);

// 1 when equal, in a time that depends on `count` alone.
int cdigest_equal(const void *left, const void *right, size_t count);
