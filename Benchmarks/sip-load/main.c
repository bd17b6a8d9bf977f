// The SIP load generator: callers and callees of one server, on one core, each message answered as soon as it comes.
//
//   sip-load calls     --server IP:PORT --rate N --seconds S [--hold SECONDS] [--pid P]... [--caller IP:PORT] [--callee IP:PORT]
//   sip-load registers --server IP:PORT --rate N --seconds S --users N [--pid P]... [--user-prefix u] [--password secret] [--nat]
//                      [--first-user N]
//   sip-load listens   --server IP:PORT --seconds S --caller IP:PORT [--pid P]...
//   sip-load sends     --server IP:PORT --rate N --seconds S [--batch N]: five octets to one address with one sendto each, every
//                      12 ms those that are due. What keep-alives cost a program that does nothing else. With --batch so many
//                      by one sendmmsg, four such a millisecond apart, then a rest.
//   sip-load floods    --server IP:PORT --rate N --seconds S [--sources N] [--pid P]...: INVITEs from 127.9.9.1 and so many
//                      addresses in all, a new call each; answers are not read.
//
// Prints one JSON object. Nothing is retransmitted: what is lost makes a call fail, and a call that fails is counted.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../load/histogram.h"
#include "message.h"

enum { messageLimit = 4096, batchLimit = 1024, pidLimit = 64, readsPerTurn = 32, sourceLimit = 250 };

static const uint64_t second = 1000000000;
/// A call that is not over so long after it should be has failed.
static const uint64_t patience = 3000000000;

struct options {
    bool registers, listens, sends, floods;
    /// Contacts are private addresses, as those of phones behind NAT.
    bool isBehindNAT;
    struct sockaddr_in server, caller, callee;
    double rate, seconds, warmUpSeconds, holdSeconds;
    unsigned users, firstUser, batch, sources;
    const char *userPrefix, *password, *domain;
    int pids[pidLimit];
    unsigned pidCount;
};

enum callState { idle, inviting, ringing, talking, ending, over };

struct call {
    uint8_t state;
    bool isCounted;
    uint64_t startedAt, answeredAt;
    /// What the ACK and BYE need of the 200, as complete lines: To, then a Route line for each Record-Route.
    char to[160];
    char target[160];
    char routes[400];
};

struct results {
    uint64_t started, ringing, answered, completed, failed, rejected, unexpected;
    struct histogram toRinging, toAnswer, toEnd;
};

static struct options options;
static struct results results;
static int callerSocket, calleeSocket;
static char callerText[32], calleeText[32], serverText[32];
static struct call *calls;
static unsigned callCapacity, nextCall;
static unsigned long runNumber;

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * second + time.tv_nsec;
}

static uint64_t serverNanoseconds(void) {
    uint64_t sum = 0;
    for (unsigned index = 0; index < options.pidCount; index++) {
        clockid_t clock;
        struct timespec time;
        if (clock_getcpuclockid(options.pids[index], &clock) || clock_gettime(clock, &time)) continue;
        sum += (uint64_t)time.tv_sec * second + time.tv_nsec;
    }
    return sum;
}

static void transmit(int socket, const char *message, int length, const struct sockaddr_in *to) {
    if (length <= 0 || length >= messageLimit) {
        fprintf(stderr, "sip-load: a message of %d octets\n", length);
        exit(70);
    }
    sendto(socket, message, length, 0, (const struct sockaddr *)to, sizeof *to);
}

static const char sdp[] =
    "v=0\r\no=- 3904 1 IN IP4 127.0.0.1\r\ns=call\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8 0 18 101\r\n"
    "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:18 G729/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

// MARK: Calls

static void startCall(unsigned index, uint64_t at, bool isCounted) {
    struct call *call = &calls[index];
    *call = (struct call){.state = inviting, .startedAt = at, .isCounted = isCounted};
    char message[messageLimit];
    int length = snprintf(
        message, sizeof message,
        "INVITE sip:49%08u@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKi%lx.%u;rport\r\nMax-Forwards: 70\r\n"
        "From: \"Load\" <sip:31%08u@%s>;tag=f%u\r\nTo: <sip:49%08u@%s>\r\nCall-ID: %u.%lx@load.example.net\r\n"
        "CSeq: 1 INVITE\r\nContact: <sip:31%08u@%s>\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\r\n"
        "Supported: replaces, timer\r\nUser-Agent: load\r\nContent-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
        index, serverText, callerText, runNumber, index, index, callerText, index, index, serverText, index, runNumber, index,
        callerText, sizeof sdp - 1, sdp);
    transmit(callerSocket, message, length, &options.server);
    if (isCounted) results.started++;
}

static void sendInDialog(unsigned index, const char *method, unsigned sequence) {
    struct call *call = &calls[index];
    char message[messageLimit];
    int length = snprintf(
        message, sizeof message,
        "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK%c%lx.%u;rport\r\n%sMax-Forwards: 70\r\n"
        "From: \"Load\" <sip:31%08u@%s>;tag=f%u\r\n%sCall-ID: %u.%lx@load.example.net\r\nCSeq: %u %s\r\n"
        "Content-Length: 0\r\n\r\n",
        method, call->target, callerText, method[0] | 32, runNumber, index, call->routes, index, callerText, index, call->to,
        index, runNumber, sequence, method);
    transmit(callerSocket, message, length, &options.server);
}

/// ACK of a refusal: within its transaction.
static void acknowledgeRefusal(unsigned index, struct text message) {
    char to[200] = "", buffer[messageLimit];
    copyHeaderLine(message, "To", to, sizeof to);
    int length = snprintf(
        buffer, sizeof buffer,
        "ACK sip:49%08u@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKi%lx.%u;rport\r\nMax-Forwards: 70\r\n"
        "From: \"Load\" <sip:31%08u@%s>;tag=f%u\r\n%sCall-ID: %u.%lx@load.example.net\r\nCSeq: 1 ACK\r\n"
        "Content-Length: 0\r\n\r\n",
        index, serverText, callerText, runNumber, index, index, callerText, index, to, index, runNumber);
    transmit(callerSocket, buffer, length, &options.server);
}

static void callerReceived(struct text message, uint64_t at) {
    unsigned status = statusOf(message), index;
    unsigned long run;
    char callID[64];
    // The compact form too: an answer to a stranger is kept small.
    bool hasCallID = headerValue(message, "Call-ID", callID, sizeof callID) || headerValue(message, "i", callID, sizeof callID);
    if (!status || !hasCallID || sscanf(callID, "%u.%lx@", &index, &run) != 2 ||
        run != runNumber || index >= nextCall) {
        results.unexpected++;
        return;
    }
    struct call *call = &calls[index];
    char sequence[48] = "";
    headerValue(message, "CSeq", sequence, sizeof sequence);
    if (strstr(sequence, "INVITE")) {
        if (status == 100) return;
        if (status < 200) {
            if (call->state != inviting) return;
            call->state = ringing;
            if (call->isCounted) {
                results.ringing++;
                record(&results.toRinging, at - call->startedAt);
            }
        } else if (status < 300) {
            if (call->state != inviting && call->state != ringing) return;
            call->state = talking;
            call->answeredAt = at;
            copyHeaderLine(message, "To", call->to, sizeof call->to);
            contactURI(message, call->target, sizeof call->target);
            routesOf(message, call->routes, sizeof call->routes);
            if (call->isCounted) {
                results.answered++;
                record(&results.toAnswer, at - call->startedAt);
            }
            sendInDialog(index, "ACK", 1);
        } else {
            acknowledgeRefusal(index, message);
            if (call->state == over) return;
            call->state = over;
            if (call->isCounted) results.rejected++;
        }
    } else if (strstr(sequence, "BYE") && call->state == ending && status >= 200) {
        call->state = over;
        if (!call->isCounted) return;
        if (status < 300) results.completed++;
        else results.rejected++;
    }
}

/// The callees keep no state: every answer is made of the request alone.
static void calleeReceived(struct text message, const struct sockaddr_in *from) {
    bool isInvite = startsWith(message, "INVITE ");
    if (startsWith(message, "ACK ") || statusOf(message)) return;
    char copied[2048];
    size_t used = copyHeaders(message, "Via", copied, 0, sizeof copied);
    if (isInvite) used = copyHeaders(message, "Record-Route", copied, used, sizeof copied);
    used = copyHeaders(message, "From", copied, used, sizeof copied);
    used = copyHeaders(message, "Call-ID", copied, used, sizeof copied);
    used = copyHeaders(message, "CSeq", copied, used, sizeof copied);
    char to[256] = "";
    headerValue(message, "To", to, sizeof to);
    const char *tag = strstr(to, ";tag=") ? "" : ";tag=callee";
    char answer[messageLimit];
    if (isInvite) {
        int length = snprintf(
            answer, sizeof answer, "SIP/2.0 180 Ringing\r\n%sTo: %s%s\r\nContact: <sip:callee@%s>\r\nContent-Length: 0\r\n\r\n",
            copied, to, tag, calleeText);
        transmit(calleeSocket, answer, length, from);
        length = snprintf(
            answer, sizeof answer,
            "SIP/2.0 200 OK\r\n%sTo: %s%s\r\nContact: <sip:callee@%s>\r\nContent-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s",
            copied, to, tag, calleeText, sizeof sdp - 1, sdp);
        transmit(calleeSocket, answer, length, from);
    } else {
        int length = snprintf(
            answer, sizeof answer, "SIP/2.0 200 OK\r\n%sTo: %s%s\r\nContent-Length: 0\r\n\r\n", copied, to,
            tag);
        transmit(calleeSocket, answer, length, from);
    }
}

// MARK: Registrations

static void hexDigest(const char *text, char out[33]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_Digest(text, strlen(text), digest, &length, EVP_md5(), NULL);
    for (unsigned index = 0; index < 16; index++) sprintf(out + 2 * index, "%02x", digest[index]);
}

/// Where a phone says it is.
static const char *contactOf(unsigned user, char text[32]) {
    if (!options.isBehindNAT) return callerText;
    snprintf(text, 32, "10.%u.%u.%u:5060", user >> 16 & 0xff, user >> 8 & 0xff, user & 0xff);
    return text;
}

static unsigned userOf(unsigned index) { return options.firstUser + index % options.users; }

static void sendRegister(unsigned index, const char *authorization, unsigned sequence) {
    unsigned user = userOf(index);
    char message[messageLimit], contact[32];
    int length = snprintf(
        message, sizeof message,
        "REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKr%u.%lx.%u;rport\r\nMax-Forwards: 70\r\n"
        "From: <sip:%s%u@%s>;tag=f%u\r\nTo: <sip:%s%u@%s>\r\nCall-ID: %u.%lx@load.example.net\r\nCSeq: %u REGISTER\r\n"
        "Contact: <sip:%s%u@%s>\r\nExpires: 3600\r\nUser-Agent: load\r\n%sContent-Length: 0\r\n\r\n",
        options.domain, callerText, sequence, runNumber, index, options.userPrefix, user, options.domain, index, options.userPrefix,
        user, options.domain, index, runNumber, sequence, options.userPrefix, user, contactOf(user, contact), authorization);
    transmit(callerSocket, message, length, &options.server);
}

static void startRegistration(unsigned index, uint64_t at, bool isCounted) {
    calls[index] = (struct call){.state = inviting, .startedAt = at, .isCounted = isCounted};
    if (isCounted) results.started++;
    sendRegister(index, "", 1);
}

static void answerChallenge(unsigned index, struct text message) {
    char challenge[512], realm[128], nonce[256];
    if (!digestChallenge(message, challenge, sizeof challenge) || !quoted(challenge, "realm", realm, sizeof realm) ||
        !quoted(challenge, "nonce", nonce, sizeof nonce)) {
        results.unexpected++;
        return;
    }
    unsigned user = userOf(index);
    bool hasQop = strstr(challenge, "qop") != NULL;
    char text[768], ha1[33], ha2[33], response[33], authorization[1024];
    snprintf(text, sizeof text, "%s%u:%s:%s", options.userPrefix, user, realm, options.password);
    hexDigest(text, ha1);
    snprintf(text, sizeof text, "REGISTER:sip:%s", options.domain);
    hexDigest(text, ha2);
    if (hasQop) snprintf(text, sizeof text, "%s:%s:00000001:c0ffee:auth:%s", ha1, nonce, ha2);
    else snprintf(text, sizeof text, "%s:%s:%s", ha1, nonce, ha2);
    hexDigest(text, response);
    snprintf(
        authorization, sizeof authorization,
        "Authorization: Digest username=\"%s%u\", realm=\"%s\", nonce=\"%s\", uri=\"sip:%s\", response=\"%s\", algorithm=MD5%s\r\n",
        options.userPrefix, user, realm, nonce, options.domain, response,
        hasQop ? ", qop=auth, nc=00000001, cnonce=\"c0ffee\"" : "");
    sendRegister(index, authorization, 2);
}

static void registrarAnswered(struct text message, uint64_t at) {
    unsigned status = statusOf(message), index;
    unsigned long run;
    char callID[64];
    // The compact form too: an answer to a stranger is kept small.
    bool hasCallID = headerValue(message, "Call-ID", callID, sizeof callID) || headerValue(message, "i", callID, sizeof callID);
    if (!status || !hasCallID || sscanf(callID, "%u.%lx@", &index, &run) != 2 ||
        run != runNumber || index >= nextCall) {
        results.unexpected++;  // keep-alives to the contact come here too
        return;
    }
    struct call *call = &calls[index];
    if (status < 200 || call->state == over) return;
    if (status == 401 && call->state == inviting) {
        call->state = ringing;
        return answerChallenge(index, message);
    }
    call->state = over;
    if (!call->isCounted) return;
    if (status < 300) {
        results.completed++;
        record(&results.toEnd, at - call->startedAt);
    } else {
        results.rejected++;
    }
}

// MARK: The run

static void readSocket(int socket, uint64_t at) {
    static char buffers[readsPerTurn][messageLimit];
    static struct iovec vectors[readsPerTurn];
    static struct sockaddr_in sources[readsPerTurn];
    static struct mmsghdr headers[readsPerTurn];
    for (unsigned index = 0; index < readsPerTurn; index++) {
        vectors[index] = (struct iovec){buffers[index], messageLimit - 1};
        headers[index].msg_hdr = (struct msghdr){
            .msg_name = &sources[index], .msg_namelen = sizeof sources[index], .msg_iov = &vectors[index], .msg_iovlen = 1};
    }
    int count = recvmmsg(socket, headers, readsPerTurn, MSG_DONTWAIT, NULL);
    for (int index = 0; index < count; index++) {
        buffers[index][headers[index].msg_len] = 0;
        struct text message = {buffers[index], headers[index].msg_len};
        if (socket == calleeSocket) calleeReceived(message, &sources[index]);
        else if (options.registers) registrarAnswered(message, at);
        else callerReceived(message, at);
    }
}

struct summary {
    double seconds, lagSeconds;
    uint64_t serverNanoseconds;
};

/// How long after a call the next one begins: callers know nothing of each other, so it is anything (a Poisson process), but the
/// same for every server. Calls at even distances would meet the ends of others always at the same point.
static double gapNanoseconds(void) {
    static uint64_t random = 1;
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    double uniform = ((random >> 11) + 1) * 0x1p-53;  // of (0, 1]
    return -log(uniform) * second / options.rate;
}

/// Starts calls at the rate for `seconds`, then waits until all of them are over.
static struct summary run(double seconds, bool isCounted) {
    uint64_t start = now(), hold = (uint64_t)(options.holdSeconds * second);
    unsigned firstCall = nextCall, nextBye = nextCall, oldest = nextCall;
    unsigned wanted = (unsigned)(seconds * options.rate);
    uint64_t largestLag = 0, cpu = serverNanoseconds();
    double due = start;
    while (true) {
        uint64_t at = now();
        while (nextCall - firstCall < wanted && at >= due) {
            uint64_t lag = at - (uint64_t)due;
            if (lag > largestLag) largestLag = lag;
            due += gapNanoseconds();
            unsigned index = nextCall++;
            if (options.registers) startRegistration(index, at, isCounted);
            else startCall(index, at, isCounted);
            if ((index & 7) == 7) break;  // answers are read meanwhile
        }
        if (!options.registers) readSocket(calleeSocket, at);
        readSocket(callerSocket, now());
        // Calls are answered nearly in the order they started, so their ends are found from the front.
        for (; nextBye < nextCall; nextBye++) {
            struct call *call = &calls[nextBye];
            if (call->state == over || call->state == ending) continue;
            if (call->state != talking) {
                if (at - call->startedAt < patience) break;
                continue;
            }
            if (now() - call->answeredAt < hold) break;
            call->state = ending;
            sendInDialog(nextBye, "BYE", 2);
        }
        while (oldest < nextCall) {
            struct call *call = &calls[oldest];
            if (call->state != over) {
                if (at - call->startedAt < patience + hold) break;
                call->state = over;
                if (call->isCounted) results.failed++;
            }
            oldest++;
        }
        if (nextCall - firstCall >= wanted && oldest == nextCall) break;
    }
    return (struct summary){(now() - start) / 1e9, largestLag / 1e9, serverNanoseconds() - cpu};
}

/// Counts what comes unasked, by the kernel's receive stamps: how many keep-alives, and how many in the fullest millisecond.
static void listenOnly(void) {
    static char buffer[messageLimit];
    int on = 1;
    setsockopt(callerSocket, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    uint64_t end = now() + (uint64_t)(options.seconds * second), cpu = serverNanoseconds();
    uint64_t count = 0, octets = 0, millisecond = 0, inMillisecond = 0, most = 0;
    while (now() < end) {
        char control[64];
        struct iovec vector = {buffer, sizeof buffer};
        struct msghdr header = {.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t length = recvmsg(callerSocket, &header, MSG_DONTWAIT);
        if (length < 0) {
            nanosleep(&(struct timespec){0, 200000}, NULL);
            continue;
        }
        struct cmsghdr *item = CMSG_FIRSTHDR(&header);
        if (!item || item->cmsg_type != SO_TIMESTAMPNS) continue;
        struct timespec stamp;
        memcpy(&stamp, CMSG_DATA(item), sizeof stamp);
        uint64_t slot = (uint64_t)stamp.tv_sec * 1000 + stamp.tv_nsec / 1000000;
        inMillisecond = slot == millisecond ? inMillisecond + 1 : 1;
        millisecond = slot;
        if (inMillisecond > most) most = inMillisecond;
        count++;
        octets += length;
    }
    cpu = serverNanoseconds() - cpu;
    printf("{\"messages\": %lu, \"octets\": %lu, \"mostInOneMillisecond\": %lu, \"serverMicroseconds\": %.1f}\n", count, octets, most,
           cpu / 1e3);
}

static void sleepUntil(uint64_t at) {
    struct timespec until = {.tv_sec = at / second, .tv_nsec = at % second};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void printSent(uint64_t sent) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    printf("{\"messages\": %lu, \"microsecondsEach\": %.3f}\n", sent, (used.tv_sec * 1e9 + used.tv_nsec) / 1e3 / (sent ? sent : 1));
}

static void sendBatches(void) {
    enum { batchesInRun = 4 };
    struct iovec octets = {"HELLO", 5};
    struct mmsghdr messages[batchLimit] = {0};
    for (unsigned index = 0; index < options.batch; index++)
        messages[index].msg_hdr = (struct msghdr){
            .msg_iov = &octets, .msg_iovlen = 1, .msg_name = &options.server, .msg_namelen = sizeof options.server};
    uint64_t start = now(), end = start + (uint64_t)(options.seconds * second), sent = 0;
    uint64_t tick = (uint64_t)(batchesInRun * options.batch / options.rate * 1e9);
    for (uint64_t at = start; at < end; at += tick)
        for (unsigned batch = 0; batch < batchesInRun; batch++) {
            sleepUntil(at + batch * 1000000);
            int count = sendmmsg(callerSocket, messages, options.batch, MSG_DONTWAIT);
            if (count > 0) sent += count;
        }
    printSent(sent);
}

/// The least that keep-alives can cost: this process is what is measured.
static void sendOnly(void) {
    if (options.batch) return sendBatches();
    static const uint64_t tick = 12000000;
    uint64_t start = now(), end = start + (uint64_t)(options.seconds * second), sent = 0;
    for (uint64_t at = start; at < end; at += tick) {
        sleepUntil(at);
        uint64_t due = (uint64_t)((at - start) / 1e9 * options.rate);
        for (; sent < due; sent++) transmit(callerSocket, "HELLO", 5, &options.server);
    }
    printSent(sent);
}

static int floodingSocket(unsigned number) {
    int result = socket(AF_INET, SOCK_DGRAM, 0), size = 1;
    setsockopt(result, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f090901 + number)};
    if (bind(result, (struct sockaddr *)&own, sizeof own) || connect(result, (struct sockaddr *)&options.server, sizeof options.server)) {
        perror("sip-load: a flooding socket");
        exit(71);
    }
    return result;
}

static void floodOnly(void) {
    enum { batch = 32 };
    static char messages[batch][messageLimit];
    static struct iovec vectors[batch];
    static struct mmsghdr headers[batch];
    int sockets[sourceLimit];
    for (unsigned number = 0; number < options.sources; number++) sockets[number] = floodingSocket(number);
    uint64_t start = now(), end = start + (uint64_t)(options.seconds * second), cpu = serverNanoseconds();
    uint64_t sent = 0, number = 0;
    for (uint64_t at; (at = now()) < end;) {
        uint64_t due = (uint64_t)((at - start) / 1e9 * options.rate);
        // What could not be sent in time is left out.
        if (due > number + (uint64_t)options.rate / 10) number = due - (uint64_t)options.rate / 10;
        if (number >= due) {
            nanosleep(&(struct timespec){0, 200000}, NULL);
            continue;
        }
        unsigned count = due - number < batch ? due - number : batch, source = number / batch % options.sources;
        for (unsigned index = 0; index < count; index++, number++) {
            int length = snprintf(
                messages[index], messageLimit,
                "INVITE sip:1555%08lu@%s SIP/2.0\r\nVia: SIP/2.0/UDP 127.9.9.%u:5060;branch=z9hG4bKx%lx.%lu;rport\r\n"
                "Max-Forwards: 70\r\nFrom: <sip:1000@%s>;tag=x%lu\r\nTo: <sip:1555%08lu@%s>\r\nCall-ID: x%lu.%lx@flood\r\n"
                "CSeq: 1 INVITE\r\nContact: <sip:1000@127.9.9.%u>\r\nUser-Agent: flood\r\nContent-Type: application/sdp\r\n"
                "Content-Length: %zu\r\n\r\n%s",
                number, serverText, source + 1, runNumber, number, serverText, number, number, serverText, number, runNumber,
                source + 1, sizeof sdp - 1, sdp);
            vectors[index] = (struct iovec){messages[index], length};
            headers[index].msg_hdr = (struct msghdr){.msg_iov = &vectors[index], .msg_iovlen = 1};
        }
        int accepted = sendmmsg(sockets[source], headers, count, 0);
        if (accepted > 0) sent += accepted;
    }
    printf("{\"messages\": %lu, \"perSecond\": %.0f, \"serverMicrosecondsEach\": %.3f}\n", sent, sent / options.seconds,
           sent ? (serverNanoseconds() - cpu) / 1e3 / sent : 0);
}

static void parseAddress(const char *text, struct sockaddr_in *address) {
    char ip[64];
    unsigned port;
    if (sscanf(text, "%63[^:]:%u", ip, &port) != 2 || inet_pton(AF_INET, ip, &address->sin_addr) != 1) {
        fprintf(stderr, "sip-load: \"%s\" is no IPv4 address with a port\n", text);
        exit(64);
    }
    address->sin_family = AF_INET;
    address->sin_port = htons(port);
}

static int boundSocket(struct sockaddr_in *address, char text[32]) {
    int result = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), size = 16 << 20;
    setsockopt(result, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(result, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    socklen_t length = sizeof *address;
    if (bind(result, (struct sockaddr *)address, length) || getsockname(result, (struct sockaddr *)address, &length)) {
        perror("sip-load: bind");
        exit(71);
    }
    char ip[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &address->sin_addr, ip, sizeof ip);
    snprintf(text, 32, "%s:%u", ip, ntohs(address->sin_port));
    return result;
}

static void usage(void) {
    fprintf(stderr,
            "usage: sip-load calls|registers|listens|sends|floods --server IP:PORT --rate N --seconds S [--warm-up S] [--pid P]...\n"
            "       calls: [--hold S] [--caller IP:PORT] [--callee IP:PORT]\n"
            "       registers: --users N [--first-user N] [--user-prefix TEXT] [--password TEXT] [--domain TEXT]\n"
            "                  [--caller IP:PORT] [--nat]\n"
            "       floods: [--sources N]\n");
    exit(64);
}

static void printHistogram(const char *name, const struct histogram *histogram) {
    printf(", \"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}", name, percentile(histogram, 0.5) / 1e3,
           percentile(histogram, 0.99) / 1e3, histogram->largest / 1e3);
}

int main(int argc, char **argv) {
    static const struct option names[] = {
        {"server", 1, 0, 's'},      {"rate", 1, 0, 'r'},     {"seconds", 1, 0, 'S'}, {"warm-up", 1, 0, 'w'}, {"hold", 1, 0, 'h'},
        {"pid", 1, 0, 'p'},         {"caller", 1, 0, 'c'},   {"callee", 1, 0, 'C'},  {"users", 1, 0, 'u'},
        {"user-prefix", 1, 0, 'U'}, {"password", 1, 0, 'P'}, {"domain", 1, 0, 'd'},  {"nat", 0, 0, 'n'},
        {"first-user", 1, 0, 'f'},  {"batch", 1, 0, 'b'},    {"sources", 1, 0, 'o'}, {0}};
    if (argc < 2) usage();
    options = (struct options){
        .registers = !strcmp(argv[1], "registers"), .listens = !strcmp(argv[1], "listens"), .sends = !strcmp(argv[1], "sends"),
        .floods = !strcmp(argv[1], "floods"), .rate = 100, .seconds = 1, .holdSeconds = 0.2, .sources = 20, .userPrefix = "u",
        .password = "secret", .domain = "load.example.net"};
    if (!options.registers && !options.listens && !options.sends && !options.floods && strcmp(argv[1], "calls")) usage();
    parseAddress("127.0.0.1:0", &options.caller);
    parseAddress("127.0.0.1:0", &options.callee);
    optind = 2;
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
        case 's': parseAddress(optarg, &options.server); break;
        case 'c': parseAddress(optarg, &options.caller); break;
        case 'C': parseAddress(optarg, &options.callee); break;
        case 'r': options.rate = strtod(optarg, NULL); break;
        case 'S': options.seconds = strtod(optarg, NULL); break;
        case 'w': options.warmUpSeconds = strtod(optarg, NULL); break;
        case 'h': options.holdSeconds = strtod(optarg, NULL); break;
        case 'u': options.users = strtoul(optarg, NULL, 10); break;
        case 'U': options.userPrefix = optarg; break;
        case 'P': options.password = optarg; break;
        case 'd': options.domain = optarg; break;
        case 'n': options.isBehindNAT = true; break;
        case 'b':
            options.batch = strtoul(optarg, NULL, 10);
            if (options.batch > batchLimit) usage();
            break;
        case 'o':
            options.sources = strtoul(optarg, NULL, 10);
            if (!options.sources || options.sources > sourceLimit) usage();
            break;
        case 'f': options.firstUser = strtoul(optarg, NULL, 10); break;
        case 'p':
            if (options.pidCount == pidLimit) usage();
            options.pids[options.pidCount++] = atoi(optarg);
            break;
        default: usage();
        }
    }
    if (!options.server.sin_port || options.rate <= 0 || options.seconds <= 0 || optind != argc) usage();
    if (options.registers && !options.users) usage();
    callerSocket = boundSocket(&options.caller, callerText);
    calleeSocket = boundSocket(&options.callee, calleeText);
    char ip[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &options.server.sin_addr, ip, sizeof ip);
    snprintf(serverText, sizeof serverText, "%s:%u", ip, ntohs(options.server.sin_port));
    if (options.listens || options.sends) {
        if (options.listens) listenOnly();
        else sendOnly();
        return 0;
    }
    runNumber = now() ^ (unsigned long)getpid() << 32;
    if (options.floods) {
        floodOnly();
        return 0;
    }
    callCapacity = (unsigned)((options.seconds + options.warmUpSeconds) * options.rate) + 2;
    calls = calloc(callCapacity, sizeof *calls);
    if (!calls) return 71;

    if (options.warmUpSeconds > 0) run(options.warmUpSeconds, false);
    struct summary summary = run(options.seconds, true);
    printf("{\"rate\": %.1f, \"seconds\": %.3f, \"started\": %lu, \"ringing\": %lu, \"answered\": %lu, \"completed\": %lu, "
           "\"rejected\": %lu, \"failed\": %lu, \"unexpected\": %lu, \"generatorLagMicroseconds\": %.0f, "
           "\"serverMicrosecondsPerCall\": %.2f",
           options.rate, summary.seconds, results.started, results.ringing, results.answered, results.completed, results.rejected,
           results.failed, results.unexpected, summary.lagSeconds * 1e6,
           results.completed ? summary.serverNanoseconds / 1e3 / results.completed : 0);
    printHistogram("toRingingMicroseconds", &results.toRinging);
    printHistogram("toAnswerMicroseconds", &results.toAnswer);
    printHistogram("toEndMicroseconds", &results.toEnd);
    printf("}\n");
    return 0;
}
