import Foundation
import Glibc

/// What a test needs from the machine beside this package.
package enum Prerequisite: CaseIterable, Sendable {
    case sipp, tshark, sngrep, root, kamailio, rtpengine, ipv6, openssl, kamailioTLS, promtool, chromium, baresip, linphone, sipsak

    package var isMet: Bool {
        switch self {
        case .sipp: Self.findsProgram("sipp")
        case .tshark: Self.findsProgram("tshark")
        case .sngrep: Self.findsProgram("sngrep")
        case .root: geteuid() == 0
        case .kamailio: Self.findsProgram("kamailio") && Self.hasKamailioModules(["rtpengine", "xmlrpc", "jsonrpcs", "dialog"])
        case .rtpengine: Self.findsProgram("rtpengine")
        case .openssl: Self.findsProgram("openssl")
        case .kamailioTLS: Self.findsProgram("kamailio") && Self.hasKamailioModules(["tls"])
        case .promtool: Self.findsProgram("promtool")
        case .chromium: Self.findsProgram("chromium")
        case .baresip: Self.findsProgram("baresip")
        case .linphone: Self.findsProgram("linphonec")
        case .sipsak: Self.findsProgram("sipsak")
        case .ipv6: textOfFile("/proc/net/if_inet6").contains(" lo\n")
        }
    }

    /// The reason a skipped test shows, and what can be done.
    package var explanation: Comment {
        switch self {
        case .sipp: "sipp is not installed: apt-get install sip-tester"
        case .tshark: "tshark is not installed: apt-get install tshark"
        case .sngrep: "sngrep is not installed: apt-get install sngrep"
        case .root: "capturing packets and making network namespaces needs root"
        case .kamailio:
            "Kamailio or its modules are not installed: apt-get install kamailio kamailio-xml-modules kamailio-json-modules"
        case .rtpengine: "rtpengine is not installed: apt-get install rtpengine-daemon"
        case .openssl: "openssl is not installed: apt-get install openssl"
        case .kamailioTLS: "Kamailio or its TLS module is not installed: apt-get install kamailio kamailio-tls-modules"
        case .promtool: "promtool is not installed: apt-get install prometheus"
        case .chromium: "chromium is not installed: apt-get install chromium"
        case .linphone: "linphonec is not installed: apt-get install linphone-cli"
        case .sipsak: "sipsak is not installed: apt-get install sipsak"
        case .baresip: "baresip is not installed: apt-get install baresip-core"
        case .ipv6: "the loopback interface has no IPv6 address"
        }
    }

    package typealias Comment = String

    /// Whether to run what needs this. In CI always, so that there a missing tool is a failure and never a silent skip.
    package var isMetOrRequired: Bool { isMet || Self.isCI }

    package static var isCI: Bool { !(ProcessInfo.processInfo.environment["CI"] ?? "").isEmpty }

    private static func hasKamailioModules(_ names: [String]) -> Bool {
        let libraries = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib")) ?? []
        return names.allSatisfy { module in
            ([""] + libraries).contains { directory in
                FileManager.default.fileExists(atPath: "/usr/lib/\(directory)/kamailio/modules/\(module).so")
            }
        }
    }

    private static func findsProgram(_ name: String) -> Bool {
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin"
        return path.split(separator: ":").contains { directory in
            FileManager.default.isExecutableFile(atPath: "\(directory)/\(name)")
        }
    }
}
