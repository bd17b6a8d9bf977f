import Foundation

/// The file of `registrar.users_file`: `NAME SECRET [NUMBER ...]` a line, empty lines and those that begin with `#` left out.
enum UsersFile {
    /// What is wrong with it, and where.
    struct Problem: Error {
        /// Zero: the file itself.
        let line: Int
        let reason: String
    }

    static func load(path: String) throws(Problem) -> [User] {
        let octets: Data
        do {
            octets = try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            let isMissing = (error as? CocoaError)?.code == .fileReadNoSuchFile
            throw Problem(line: 0, reason: isMissing ? "there is no such file" : "it cannot be read")
        }
        return try parse(octets)
    }

    static func parse(_ octets: some Collection<UInt8>) throws(Problem) -> [User] {
        var users: [User] = []
        var number = 0
        for line in octets.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            let words = line.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }
            guard let first = words.first, first.first != UInt8(ascii: "#") else { continue }
            guard words.count >= 2 else { throw Problem(line: number, reason: "expected NAME SECRET [NUMBER ...]") }
            for word in [first] + words.dropFirst(2) where !ValueFormat<String>.isUserName(word) {
                throw Problem(line: number, reason: "\"\(String(decoding: word, as: UTF8.self))\" is no name or number")
            }
            var user = User(
                name: String(decoding: first, as: UTF8.self),
                numbers: words.dropFirst(2).map { String(decoding: $0, as: UTF8.self) })
            try readSecret(String(decoding: words[1], as: UTF8.self), into: &user, line: number)
            users.append(user)
        }
        return users
    }

    private static func readSecret(_ secret: String, into user: inout User, line: Int) throws(Problem) {
        if secret.hasPrefix("plain:"), secret.utf8.count > 6 {
            user.password = String(secret.dropFirst(6))
            return
        }
        for part in secret.split(separator: ",", omittingEmptySubsequences: false) {
            let digits: Substring
            if part.hasPrefix("md5:"), part.utf8.count == 4 + 32 {
                digits = part.dropFirst(4)
            } else if part.hasPrefix("sha256:"), part.utf8.count == 7 + 64 {
                digits = part.dropFirst(7)
            } else {
                throw Problem(line: line, reason: "the secret is not plain:PASSWORD, md5: with 32 or sha256: with 64 digits")
            }
            guard digits.allSatisfy(\.isHexDigit) else { throw Problem(line: line, reason: "the hash has other than hexadecimal digits") }
            user.ha1.append(String(digits))
        }
    }
}
