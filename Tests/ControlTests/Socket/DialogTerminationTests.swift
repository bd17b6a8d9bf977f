import Configuration
import Core
import Foundation
import Testing

@testable import Control

@Suite("Asking a proxy to end a dialog")
struct DialogTerminationTests {
    private let server = SocketAddress("192.0.2.1:8080")!

    private func lines(_ format: CallbackFormat, callID: String = "c1", callerTag: String = "a") -> [String] {
        let termination = DialogTermination(
            shortID: "s", callID: callID, callerTag: callerTag, calleeTag: "b", proxy: nil)
        let request = termination.httpRequest(to: server, path: "/RPC2", format: format)
        return String(decoding: request, as: UTF8.self).components(separatedBy: "\r\n")
    }

    @Test("by XML-RPC as Kamailio's module xmlrpc reads it")
    func xml() {
        #expect(
            lines(.xmlrpc) == [
                "POST /RPC2 HTTP/1.1", "Host: 192.0.2.1:8080", "User-Agent: relayd", "Content-Type: text/xml",
                "Content-Length: 254", "Connection: close", "", "<?xml version=\"1.0\"?>",
                "<methodCall><methodName>dlg.terminate_dlg</methodName><params>"
                    + "<param><value><string>c1</string></value></param><param><value><string>a</string></value></param>"
                    + "<param><value><string>b</string></value></param></params></methodCall>", "",
            ])
    }

    @Test("by JSON-RPC as Kamailio's module jsonrpcs reads it")
    func json() {
        #expect(
            lines(.jsonrpc) == [
                "POST /RPC2 HTTP/1.1", "Host: 192.0.2.1:8080", "User-Agent: relayd", "Content-Type: application/json",
                "Content-Length: 77", "Connection: close", "",
                "{\"jsonrpc\":\"2.0\",\"method\":\"dlg.terminate_dlg\",\"params\":[\"c1\",\"a\",\"b\"],\"id\":1}",
            ])
    }

    @Test("nothing in a Call-ID or tag leaves its place")
    func escaping() throws {
        let xml = lines(.xmlrpc, callID: "<&>\r\n").joined(separator: "\n")
        #expect(xml.contains("<string>&lt;&amp;&gt;??</string>"))
        let body = try #require(lines(.jsonrpc, callID: "a\"\\\n\u{1}b", callerTag: "é").last)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any])
        #expect(object["params"] as? [String] == ["a\"\\??b", "é", "b"])
    }

    private func response(_ text: String, step: Int = .max) -> HTTPResponse {
        var response = HTTPResponse()
        let octets = Array(text.utf8)
        for start in stride(from: 0, to: octets.count, by: min(step, octets.count)) {
            response.append(Array(octets[start..<min(octets.count, start + min(step, octets.count))]))
        }
        return response
    }

    @Test("an answer is whole once its announced length is there, however it was cut", arguments: [1, 3, 1_000])
    func completeness(step: Int) {
        let head = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 4\r\n\r\n"
        #expect(!response(head + "bod", step: step).isComplete)
        #expect(response(head + "body", step: step).isComplete)
        #expect(!response("HTTP/1.1 200 OK\r\n\r\nbody", step: step).isComplete, "it ends with the connection")
        #expect(response(String(repeating: "x", count: 70_000), step: 1_000 * step).isComplete, "no more is read")
    }

    @Test("what went wrong is told in the proxy's words; a dialog that is gone already is as good", arguments: [
        ("HTTP/1.1 200 OK\r\n\r\n<methodResponse><params/></methodResponse>", nil),
        ("HTTP/1.1 200 OK\r\n\r\n{\"jsonrpc\":\"2.0\",\"result\":{},\"id\":1}", nil),
        ("HTTP/1.1 404 Not Found\r\n\r\n{\"jsonrpc\":\"2.0\",\"error\":{\"code\":404,\"message\":\"Dialog not found\"},\"id\":1}", nil),
        (
            "HTTP/1.1 200 OK\r\n\r\n<fault><value><struct><member><name>faultCode</name><value><int>500</int></value></member>"
                + "<member><name>faultString</name><value><string>Command Error</string></value></member></struct></value></fault>",
            "the proxy answered: Command Error"
        ),
        (
            "HTTP/1.1 500 X\r\n\r\n{\"jsonrpc\":\"2.0\",\"error\":{\"code\":500, \"message\": \"No such method\"},\"id\":1}",
            "the proxy answered: No such method"
        ),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "the proxy answered with HTTP status 403"),
        ("SIP/2.0 200 OK\r\n\r\n", "the proxy's answer is not HTTP"), ("", "the proxy's answer is not HTTP"),
    ] as [(String, String?)])
    func failures(text: String, failure: String?) { #expect((text.isEmpty ? HTTPResponse() : response(text)).failure == failure) }
}
