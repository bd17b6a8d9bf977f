#include "CDigest.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct cdigest_hash {
    EVP_MD *algorithm;
    EVP_MD_CTX *context;
};

struct cdigest_mac {
    EVP_MAC *algorithm;
    EVP_MAC_CTX *context;
};

cdigest_hash *cdigest_hash_open(int algorithm) {
    cdigest_hash *hash = calloc(1, sizeof *hash);
    if (hash == NULL) return NULL;
    hash->algorithm = EVP_MD_fetch(NULL, algorithm == CDIGEST_MD5 ? "MD5" : "SHA256", NULL);
    hash->context = EVP_MD_CTX_new();
    if (hash->algorithm == NULL || hash->context == NULL) {
        cdigest_hash_close(hash);
        return NULL;
    }
    return hash;
}

void cdigest_hash_close(cdigest_hash *hash) {
    EVP_MD_CTX_free(hash->context);
    EVP_MD_free(hash->algorithm);
    free(hash);
}

// Of these calls only one without memory can fail, and a context that was used once has what it needs.
static void require(int isDone) {
    if (!isDone) abort();
}

void cdigest_hash_compute(cdigest_hash *hash, const void *octets, size_t count, uint8_t *output) {
    require(EVP_DigestInit_ex2(hash->context, hash->algorithm, NULL));
    require(EVP_DigestUpdate(hash->context, octets, count));
    require(EVP_DigestFinal_ex(hash->context, output, NULL));
}

cdigest_mac *cdigest_mac_open(const uint8_t *key, size_t count) {
    cdigest_mac *mac = calloc(1, sizeof *mac);
    if (mac == NULL) return NULL;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0), OSSL_PARAM_construct_end()};
    mac->algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (mac->algorithm != NULL) mac->context = EVP_MAC_CTX_new(mac->algorithm);
    if (mac->context == NULL || !EVP_MAC_init(mac->context, key, count, parameters)) {
        cdigest_mac_close(mac);
        return NULL;
    }
    return mac;
}

void cdigest_mac_close(cdigest_mac *mac) {
    EVP_MAC_CTX_free(mac->context);
    EVP_MAC_free(mac->algorithm);
    free(mac);
}

void cdigest_mac_compute(cdigest_mac *mac, const void *octets, size_t count, uint8_t *output) {
    size_t written = 0;
    // Without a key: the one it has.
    require(EVP_MAC_init(mac->context, NULL, 0, NULL));
    require(EVP_MAC_update(mac->context, octets, count));
    require(EVP_MAC_final(mac->context, output, &written, 32));
}

int cdigest_equal(const void *left, const void *right, size_t count) { return CRYPTO_memcmp(left, right, count) == 0; }
