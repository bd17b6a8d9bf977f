// The load generator: N calls, both directions, each packet sent on time and checked on arrival.
//
//   load --list-endpoints --calls N                      prints `call callerIP:port calleeIP:port`
//   load --calls N --ports FILE [--pid SERVER] …         drives the load, prints JSON
//   … --device DEVICE --mac MAC                          both, with frames on DEVICE to the Ethernet address MAC in place of sockets
//   … --core K --bystander                               also what K does besides the server's threads, and what it leaves to others
//
// FILE holds `call callerPort calleePort` lines: the relay's ports that the caller and the callee send to.
#define _GNU_SOURCE
#include <getopt.h>
#include <math.h>
#include <netinet/ether.h>
#include <stdlib.h>
#include <time.h>

#include "traffic.h"

/// A rate counts as carried when less than this fraction is lost or late.
static const double tolerableLoss = 0.001;

struct options {
    unsigned calls;
    double rate;            // packets per second per direction and call
    double warmUpSeconds;
    double seconds;
    double ladderFrom;      // packets per second over all; 0 = no ladder
    double ladderLimit;     // where it ends, carried or not
    double ladderSeconds;   // per step
    double overload;        // times the highest rate that was carried; 0 = none
    double tolerableLagSeconds;
    int pid;
    int core;               // the server's, whose idle time is read; -1 = none
    bool hasBystander;      // on that core, in a window of its own
    const char *ports;
    const char *server;
    const char *device;     // NULL = a socket for each endpoint
    const char *mac;        // the server's, where there is a device
    double gatherMicroseconds;
    bool listsEndpoints;
};

static void usage(void) {
    fprintf(stderr,
            "usage: load --calls N --ports FILE [--server 127.0.0.1] [--pid SERVER] [--rate 50] [--warm-up 4]\n"
            "            [--seconds 5] [--ladder FIRST_PACKETS_PER_SECOND] [--ladder-seconds 1]\n"
            "            [--ladder-limit PACKETS_PER_SECOND] [--overload FACTOR] [--tolerable-lag SECONDS]\n"
            "            [--device DEVICE --mac SERVER [--gather MICROSECONDS]]\n"
            "            [--core SERVERS_CORE [--bystander]]\n"
            "       load --list-endpoints --calls N [--device DEVICE]\n");
    exit(64);
}

static struct options parse(int argc, char **argv) {
    struct options options = {
        .rate = 50,
        .warmUpSeconds = 4,
        .seconds = 5,
        .ladderSeconds = 1,
        .ladderLimit = 1e9,
        .tolerableLagSeconds = 0.05,
        .core = -1,
        .server = "127.0.0.1"};
    static const struct option names[] = {
        {"calls", 1, 0, 'c'},
        {"rate", 1, 0, 'r'},
        {"warm-up", 1, 0, 'w'},
        {"seconds", 1, 0, 's'},
        {"ladder", 1, 0, 'l'},
        {"ladder-seconds", 1, 0, 'L'},
        {"ladder-limit", 1, 0, 'm'},
        {"overload", 1, 0, 'o'},
        {"tolerable-lag", 1, 0, 't'},
        {"ports", 1, 0, 'f'},
        {"server", 1, 0, 'a'},
        {"pid", 1, 0, 'p'},
        {"core", 1, 0, 'C'},
        {"bystander", 0, 0, 'b'},
        {"device", 1, 0, 'd'},
        {"mac", 1, 0, 'M'},
        {"gather", 1, 0, 'g'},
        {"list-endpoints", 0, 0, 'e'},
        {0}};
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (option) {
        case 'c': options.calls = strtoul(optarg, NULL, 10); break;
        case 'r': options.rate = strtod(optarg, NULL); break;
        case 'w': options.warmUpSeconds = strtod(optarg, NULL); break;
        case 's': options.seconds = strtod(optarg, NULL); break;
        case 'l': options.ladderFrom = strtod(optarg, NULL); break;
        case 'm': options.ladderLimit = strtod(optarg, NULL); break;
        case 'o': options.overload = strtod(optarg, NULL); break;
        case 't': options.tolerableLagSeconds = strtod(optarg, NULL); break;
        case 'L': options.ladderSeconds = strtod(optarg, NULL); break;
        case 'p': options.pid = atoi(optarg); break;
        case 'C': options.core = atoi(optarg); break;
        case 'b': options.hasBystander = true; break;
        case 'f': options.ports = optarg; break;
        case 'a': options.server = optarg; break;
        case 'd': options.device = optarg; break;
        case 'M': options.mac = optarg; break;
        case 'g': options.gatherMicroseconds = strtod(optarg, NULL); break;
        case 'e': options.listsEndpoints = true; break;
        default: usage();
        }
    }
    if (options.calls == 0 || optind != argc || options.rate <= 0) usage();
    if (!options.listsEndpoints && (!options.ports || !options.device != !options.mac)) usage();
    if (options.hasBystander && options.core < 0) usage();
    return options;
}

static void listEndpoints(unsigned calls, bool onWire) {
    for (unsigned call = 0; call < calls; call++) {
        printf("%u", call);
        for (int side = 0; side < 2; side++) {
            struct sockaddr_in address = endpointAddress(call, side, onWire);
            char text[INET_ADDRSTRLEN];
            inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
            printf(" %s:%u", text, ntohs(address.sin_port));
        }
        printf("\n");
    }
}

static void printWindow(const struct window *window) {
    printf("{\"offeredPerSecond\": %.0f, \"sentPerSecond\": %.0f, \"seconds\": %.3f, \"sent\": %lu, \"received\": %lu, "
           "\"loss\": %.6f, \"late\": %.6f, "
           "\"bestStreamLoss\": %.6f, \"medianStreamLoss\": %.6f, \"worstStreamLoss\": %.6f, \"starvedStreams\": %u, "
           "\"cpuMicrosecondsPerPacket\": %.4f, \"serverCoreShare\": %.4f, "
           "\"coreBusySeconds\": %.6f, \"coreTakenSeconds\": %.6f, "
           "\"latencyMicroseconds\": {\"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}, "
           "\"generatorLagMicroseconds\": %.0f, \"generatorLimited\": %s}",
           window->offeredRate, window->sent / window->seconds, window->seconds, window->sent, window->received,
           lossOf(window), unusableOf(window) - lossOf(window), window->bestStreamLoss, window->medianStreamLoss,
           window->worstStreamLoss, window->starvedStreams,
           window->received ? window->serverNanoseconds / 1e3 / window->received : 0,
           window->serverNanoseconds / 1e9 / window->seconds,
           window->busyNanoseconds * 1e-9, window->takenNanoseconds * 1e-9, percentile(&window->latency, 0.5) / 1e3,
           percentile(&window->latency, 0.9) / 1e3, percentile(&window->latency, 0.99) / 1e3,
           percentile(&window->latency, 0.999) / 1e3, window->latency.largest / 1e3, window->largestLag / 1e3,
           window->generatorLimited ? "true" : "false");
}

/// Measures until the generator kept the rate, thrice at most: a hiccup of the host is nobody's limit.
static void measureSteadily(struct traffic *traffic, double rate, double seconds, struct window *result) {
    for (int attempt = 0; attempt < 3; attempt++) {
        measure(traffic, rate, seconds, result);
        if (!result->generatorLimited) return;
    }
}

/// True when the rate is carried. One that the server fails is tried once more.
static bool isCarried(struct traffic *traffic, double rate, double seconds, struct window *window) {
    for (int attempt = 0; attempt < 2; attempt++) {
        measureSteadily(traffic, rate / (2 * traffic->calls), seconds, window);
        if (window->generatorLimited) return false;
        if (unusableOf(window) < tolerableLoss) return true;
    }
    return false;
}

/// Finds the highest rate that is carried: up in steps of a quarter until one fails, then three bisections, so the answer is
/// right to about 3 %. It is a lower bound when the next rate failed for the generator's sake.
///
/// - Returns: the rate.
static double climb(struct traffic *traffic, const struct options *options) {
    static struct window window;
    connectEndpoints(traffic);
    double good = 0, bad = 0, rate = options->ladderFrom;
    bool isLowerBound = false;
    printf(", \"ladder\": {\"steps\": [");
    for (int bisections = 0; bisections <= 3;) {
        bool carried = isCarried(traffic, rate, options->ladderSeconds, &window);
        printf("%s", good == 0 && bad == 0 ? "" : ", ");
        printWindow(&window);
        if (carried) {
            good = rate;
        } else {
            bad = rate;
            isLowerBound = window.generatorLimited;
        }
        if (bad == 0) {
            rate *= 1.25;
            if (rate > options->ladderLimit) {
                isLowerBound = true;
                break;
            }
        } else if (good == 0) {
            rate /= 1.25;
            if (rate < 1000) break;
        } else {
            rate = sqrt(good * bad);
            bisections++;
        }
    }
    printf("], \"highestPerSecond\": %.0f, \"isLowerBound\": %s}", good, isLowerBound ? "true" : "false");
    return good;
}

/// Offers more than can be carried: first for as long as it takes to fill the sockets' buffers, then measured.
static void overload(struct traffic *traffic, double rate) {
    static struct window window;
    traffic->tolerableLag = UINT64_MAX;  // the bursts of a late generator are part of it
    double perStream = rate / (2 * traffic->calls);
    warmUp(traffic, perStream, 8);
    measure(traffic, perStream, 4, &window);
    printf(", \"overload\": ");
    printWindow(&window);
}

int main(int argc, char **argv) {
    struct options options = parse(argc, argv);
    if (options.listsEndpoints) {
        listEndpoints(options.calls, options.device);
        return 0;
    }
    static struct traffic traffic;
    struct in_addr server;
    if (inet_pton(AF_INET, options.server, &server) != 1) usage();
    if (options.pid) {
        traffic.hasServer = clock_getcpuclockid(options.pid, &traffic.serverClock) == 0;
        if (!traffic.hasServer) {
            fprintf(stderr, "load: no process %d\n", options.pid);
            return 1;
        }
    }
    traffic.serverCore = options.core;
    traffic.tolerableLag = (uint64_t)(options.tolerableLagSeconds * 1e9);
    if (options.device) {
        struct ether_addr *mac = ether_aton(options.mac);
        if (!mac) usage();
        traffic.wire = openWire(options.device, mac->ether_addr_octet, (uint64_t)(options.gatherMicroseconds * 1e3));
    }
    openEndpoints(&traffic, options.calls);
    FILE *ports = options.ports[0] == '-' ? stdin : fopen(options.ports, "r");
    if (!ports) {
        perror(options.ports);
        return 1;
    }
    readPorts(&traffic, ports, server);

    warmUp(&traffic, options.rate, options.warmUpSeconds);
    static struct window steady;
    measureSteadily(&traffic, options.rate, options.seconds, &steady);
    printf("{\"calls\": %u, \"packetsPerSecondPerDirection\": %g, \"steady\": ", options.calls, options.rate);
    printWindow(&steady);
    if (options.hasBystander) {
        traffic.bystander = startBystander((unsigned)options.core);
        warmUp(&traffic, options.rate, 0.3);
        measureSteadily(&traffic, options.rate, options.seconds, &steady);
        endBystander(traffic.bystander);
        traffic.bystander = NULL;
        printf(", \"beside\": ");
        printWindow(&steady);
    }
    double highest = options.ladderFrom > 0 ? climb(&traffic, &options) : 0;
    if (options.overload > 0 && highest > 0) overload(&traffic, options.overload * highest);
    struct faults *faults = &traffic.faults;
    printf(", \"faults\": {\"duplicates\": %lu, \"reordered\": %lu, \"misdelivered\": %lu, \"wrongSource\": %lu, "
           "\"damaged\": %lu}}\n",
           faults->duplicates, faults->reordered, faults->misdelivered, faults->wrongSource, faults->damaged);
    return 0;
}
