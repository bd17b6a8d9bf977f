extension Page {
    /// Asks /api for what the address shows, once a second while somebody looks. Text from the network is only ever put in as text.
    static let script = #"""
        "use strict";
        const mayHangUp = document.body.dataset.hangup === "yes";
        const byId = (id) => document.getElementById(id);
        let order = "duration", filter = "", recordFilter = "", userFilter = "", timer = 0, turn = 0, earlier = null;

        function make(space, name, attributes, children) {
          const node = space ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
          for (const [key, value] of Object.entries(attributes || {})) {
            if (typeof value === "function") node.addEventListener(key, value);
            else if (value !== null && value !== undefined && value !== false) node.setAttribute(key, value);
          }
          for (const child of children.flat(Infinity)) if (child !== null && child !== undefined) node.append(child);
          return node;
        }
        const el = (name, attributes, ...children) => make(false, name, attributes, children);
        const svg = (name, attributes, ...children) => make(true, name, attributes, children);

        async function ask(path, options) {
          const answer = await fetch("/api/" + path, { headers: { "X-Relayd": "1" }, cache: "no-store", ...options });
          if (!answer.ok) { const error = new Error((await answer.text()).trim()); error.status = answer.status; throw error; }
          return answer.json();
        }

        const two = (value) => String(value).padStart(2, "0");
        function clock(seconds) { const s = Math.max(0, Math.floor(seconds)); return `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`; }
        const percent = (share) => share === null ? "–" : (share * 100).toFixed(1) + " %";
        const time = (text) => text ? text.slice(0, 10) + " " + text.slice(11, 19) : "–";
        const number = (value, digits) => value === null || value === undefined ? "–" : value.toFixed(digits);

        function table(columns, rows, link) {
          return el("table", {},
            el("thead", {}, el("tr", {}, columns.map((column) => el("th", { class: column.number ? "number" : null }, column.title)))),
            el("tbody", {}, rows.map((row) => el("tr", link ? { class: "link", "data-id": row.id, click: () => { location.hash = link(row); } } : {},
              columns.map((column) => {
                const value = column.value(row);
                const name = [column.number ? "number" : "", column.wrap ? "wrap" : "", column.tone ? column.tone(row) : ""].join(" ").trim();
                return el("td", { class: name || null }, value === null || value === undefined ? "–" : value);
              })))));
        }

        function mediaText(media) {
          if (media.state === "flowing" || media.silenceSeconds === undefined || media.silenceSeconds === null) return media.state;
          return `${media.state} ${media.silenceSeconds < 100 ? media.silenceSeconds.toFixed(1) + " s" : clock(media.silenceSeconds)}`;
        }
        const mediaTone = (media) => ({ flowing: "good", silent: "bad" })[media.state] || "faint";
        const mosTone = (mos) => mos === null || mos === undefined ? "faint" : mos < 3 ? "bad" : mos < 3.6 ? "warm" : "good";
        function mosText(call) {
          const text = (media) => number(media.mos, 1);
          return call.fromCaller.mos || call.fromCallee.mos ? `${text(call.fromCaller)} / ${text(call.fromCallee)}` : "–";
        }
        const worseMOS = (call) => [call.fromCaller.mos, call.fromCallee.mos].filter((mos) => mos).sort()[0];

        function header(snapshot) {
          const status = snapshot.status, states = snapshot.callStates;
          const packets = status.workers.reduce((sum, worker) => sum + worker.packetsReceived, 0), now = performance.now();
          let rate = "";
          if (earlier && now - earlier.at > 300 && packets >= earlier.packets) {
            rate = `, ${Math.round((packets - earlier.packets) * 1000 / (now - earlier.at))} packets/s`;
          }
          if (!earlier || now - earlier.at > 300) earlier = { packets, at: now };
          byId("facts").textContent = `${states.connected || 0} connected, ${(states.ringing || 0) + (states.setup || 0)} being set up, limit `
            + `${status.calls.limit}; ${status.media.portsInUse} ports in use, ${status.media.portsFree} free${rate}; `
            + `up ${clock(status.uptimeSeconds)}, version ${status.version}`;
          const phones = status.phones;
          byId("phones").textContent = !phones ? "" : `${phones.registered} phones registered`
            + (phones.keptAlive ? `, ${phones.keptAlive} kept alive` : "")
            + (phones.coverage === undefined ? "" : ` (${percent(phones.coverage)} in the last cycle)`)
            + (phones.unreachable ? `, ${phones.unreachable} do not answer` : "");
          byId("phones").className = phones && (phones.unreachable || phones.coverage < 1) ? "bad" : "";
          const warnings = (status.draining ? ["Draining: no new calls are taken."] : []).concat(status.warnings);
          if (status.records.pending > 0) warnings.push(`${status.records.pending} call records wait to be written.`);
          byId("warnings").replaceChildren(...warnings.map((text) => el("p", {}, text)));
        }

        async function showCalls(snapshot) {
          const limit = 200;
          const calls = await ask(`calls?order=${order}&limit=${limit}${filter ? "&match=" + encodeURIComponent(filter) : ""}`);
          const columns = [
            { title: "Call", value: (call) => call.id }, { title: "State", value: (call) => call.state },
            { title: "Caller", value: (call) => call.callerNumber }, { title: "Called", value: (call) => call.calledNumber },
            { title: "Trunks", value: (call) => `${call.callerTrunk || "–"} › ${call.calleeTrunk || "–"}` },
            { title: "Duration", number: true, value: (call) => call.answerAt ? clock(call.durationSeconds) : "–" },
            { title: "From caller", value: (call) => mediaText(call.fromCaller), tone: (call) => mediaTone(call.fromCaller) },
            { title: "From callee", value: (call) => mediaText(call.fromCallee), tone: (call) => mediaTone(call.fromCallee) },
            { title: "MOS", number: true, value: mosText, tone: (call) => mosTone(worseMOS(call)) },
            { title: "Watched", value: (call) => call.monitored ? `${call.noMediaTimeoutSeconds} s, ${call.noMediaMode}` : `no: ${call.monitoredReason}`,
              tone: (call) => call.monitored ? "" : "faint" },
          ];
          const present = Object.values(snapshot.callStates).reduce((sum, count) => sum + count, 0);
          const note = calls.length === 0 ? (filter ? "No call matches." : "No calls.")
            : calls.length === limit ? `The first ${limit} of ${present}.` : "";
          return [
            el("div", { class: "controls" },
              el("input", { id: "filter", type: "search", placeholder: "number, trunk or id", value: filter, "aria-label": "filter",
                input: (event) => { filter = event.target.value; refreshSoon(150); } }),
              el("select", { "aria-label": "order", change: (event) => { order = event.target.value; refreshSoon(0); } },
                [["duration", "longest first"], ["silence", "most silent first"], ["quality", "worst MOS first"], ["caller", "by caller"], ["callee", "by called number"], ["state", "by state"]]
                  .map(([value, text]) => el("option", { value, selected: value === order ? "" : null }, text)))),
            calls.length ? table(columns, calls, (call) => "call/" + encodeURIComponent(call.id)) : null,
            note ? el("p", { class: "faint" }, note) : null,
          ];
        }

        function facts(list) { return el("dl", {}, list.filter(Boolean).map(([name, value, tone]) => [el("dt", {}, name), el("dd", { class: tone || null }, value)])); }

        function ladder(entries) {
          const width = 720, left = 110, middle = 380, right = 650, step = 26, height = 34 + entries.length * step;
          const lifeline = (x) => svg("line", { class: "life", x1: x, x2: x, y1: 22, y2: height });
          const name = (x, text) => svg("text", { x, y: 14, "text-anchor": "middle", class: "faint" }, text);
          const rows = entries.map((entry, index) => {
            const y = 46 + index * step, caller = entry.leg === "caller";
            const [from, to] = caller === (entry.direction === "in") ? (caller ? [left, middle] : [middle, right]) : (caller ? [middle, left] : [right, middle]);
            const tip = to > from ? -7 : 7, tone = (/^[4-6]/.test(entry.text) ? "failure" : "") + (entry.retransmission ? " again" : "");
            return svg("g", { class: "message" },
              svg("text", { x: left - 14, y: y + 1, "text-anchor": "end", class: "faint" }, `${entry.milliseconds} ms`),
              svg("line", { x1: from, x2: to, y1: y, y2: y, class: tone.trim() || null }),
              svg("path", { d: `M${to + tip} ${y - 4}L${to} ${y}L${to + tip} ${y + 4}`, class: tone.trim() || null }),
              svg("text", { x: (from + to) / 2, y: y - 4, "text-anchor": "middle", class: tone.trim() || null }, entry.text + (entry.retransmission ? " (again)" : "")));
          });
          return svg("svg", { id: "ladder", width, height: height + 8, viewBox: `0 0 ${width} ${height + 8}`, role: "img", "aria-label": "messages of both legs" },
            name(left, "caller"), name(middle, "relayd"), name(right, "callee"), lifeline(left), lifeline(middle), lifeline(right), rows);
        }

        function timeline(title, media) {
          const seconds = media && media.timeline || [];
          if (!seconds.length) return el("p", { class: "faint" }, `${title}: no packets yet.`);
          const width = 720, height = 64, bar = width / 120, most = Math.max(50, ...seconds.map((second) => second.packets + second.lost));
          const start = 120 - seconds.length;
          const bars = seconds.map((second, index) => {
            const x = (start + index) * bar, good = second.packets * height / most, lost = second.lost * height / most;
            if (second.packets === 0) return svg("rect", { class: "gap", x, y: 0, width: bar - 1, height });
            const text = `${second.packets} packets, ${second.lost} lost, jitter ${second.jitterMilliseconds} ms`;
            return svg("g", {}, svg("title", {}, text), svg("rect", { class: "packets", x, y: height - good, width: bar - 1, height: good }),
              lost ? svg("rect", { class: "lost", x, y: height - good - lost, width: bar - 1, height: lost }) : null);
          });
          const quality = media.quality ? `MOS ${media.quality.averageMOS.toFixed(1)}, lowest ${media.quality.lowestMOS.toFixed(1)}; ` : "";
          return el("div", { class: "timeline" },
            el("p", {}, `${title}: ${quality}loss ${number(media.lossPercent, 1)} %, jitter ${number(media.jitterMilliseconds, 1)} ms, longest gap ${number(media.longestGapMilliseconds, 0)} ms`),
            svg("svg", { width, height: height + 16, viewBox: `0 0 ${width} ${height + 16}`, role: "img", "aria-label": `${title}, packets a second` },
              bars, svg("text", { x: 0, y: height + 13, class: "faint" }, "2 minutes ago"), svg("text", { x: width, y: height + 13, "text-anchor": "end", class: "faint" }, "now")));
        }

        function furtherMedia(media) {
          const rows = media.flatMap((medium) => [["caller", medium.caller], ["callee", medium.callee]].map(([from, party]) => ({ medium, from, party })));
          return table([
            { title: "Medium", value: (row) => `${row.medium.line} ${row.medium.kind}${row.medium.isOpen ? "" : ", ended"}` }, { title: "From", value: (row) => row.from },
            { title: "Media", value: (row) => mediaText(row.party.media), tone: (row) => mediaTone(row.party.media) },
            { title: "Packets", number: true, value: (row) => row.party.media.packets }, { title: "Lost", number: true, value: (row) => row.party.lost },
            { title: "Direction", value: (row) => row.party.direction || "–" }, { title: "Locked source", value: (row) => row.party.lockedSource || "–" },
            { title: "Relay address", value: (row) => row.party.relayAddress || "–" },
          ], rows);
        }

        async function showCall(id) {
          let detail;
          try { detail = await ask("calls/" + encodeURIComponent(id)); }
          catch (error) {
            if (error.status !== 404) throw error;
            return [el("p", {}, `Call ${id} has ended. `, el("a", { href: "#records" }, "Its record"), " says what became of it.")];
          }
          const call = detail.summary;
          const leg = (title, leg, media) => el("section", {}, el("h2", {}, title), leg ? facts([
            ["Media", mediaText(media), mediaTone(media)], ["SIP peer", leg.signallingAddress], ["Call-ID", leg.callID], ["Relay address", leg.relayAddress || "–"],
            ["Address in its SDP", leg.sdpAddress || "–"], ["Locked source", leg.lockedSource || "none yet", leg.lockedSource ? "" : "warm"],
            ["Packets", `${leg.packets}, ${leg.lost} lost, ${leg.strangersDropped} of strangers dropped`, leg.strangersDropped ? "warm" : ""],
          ]) : el("p", { class: "faint" }, "Not called yet."));
          return [
            el("p", {}, el("a", { href: "#calls" }, "‹ all calls")),
            el("h2", {}, `${call.callerNumber} calls ${call.calledNumber}`),
            facts([["Call", call.id], ["State", call.state + (call.answerAt ? ", " + clock(call.durationSeconds) : "")],
              ["Trunks", `${call.callerTrunk || "–"} › ${call.calleeTrunk || "–"}`], ["Set up", time(call.setupAt) + " UTC"],
              ["Watched", call.monitored ? `ended after ${call.noMediaTimeoutSeconds} s without media (${call.noMediaMode})` : "no: " + call.monitoredReason]]),
            mayHangUp && call.state !== "releasing" ? el("p", {}, el("button", { id: "hangup", click: () => hangUp(call) }, "End this call")) : null,
            el("div", { class: "columns" }, leg("Caller", detail.caller, call.fromCaller), leg("Callee", detail.callee, call.fromCallee)),
            el("h2", {}, "Media"), timeline("From caller", detail.caller.media), timeline("From callee", detail.callee && detail.callee.media),
            detail.furtherMedia && detail.furtherMedia.length ? [el("h2", {}, "Further media"), furtherMedia(detail.furtherMedia)] : null,
            el("h2", {}, "Messages"), ladder(detail.ladder),
          ];
        }

        async function hangUp(call) {
          if (!confirm(`End call ${call.id} from ${call.callerNumber} to ${call.calledNumber} on both sides?`)) return;
          try { await ask("calls/" + encodeURIComponent(call.id) + "/hangup", { method: "POST" }); } catch (error) { alert(error.message); }
          refreshSoon(0);
        }

        function load(trunk) {
          if (!trunk.capacity) return "–";
          const share = trunk.calls / trunk.capacity, width = 120;
          return svg("svg", { width, height: 12, viewBox: `0 0 ${width} 12`, role: "img", "aria-label": percent(share) },
            svg("rect", { class: share >= 0.9 ? "over" : "full", x: 0, y: 0, width: Math.min(1, share) * width, height: 12 }),
            svg("rect", { class: "frame", x: 0.5, y: 0.5, width: width - 1, height: 11 }));
        }
        const ratio = (side) => side.attempts ? side.answered / side.attempts : null;
        const average = (side) => side.answered ? clock(side.connectedSeconds / side.answered) : "–";
        const failures = (side) => Object.entries(side.releases).filter(([cause]) => cause !== "normal").sort((a, b) => b[1] - a[1])
          .map(([cause, count]) => `${cause} ${count}`).join(", ") || "–";

        async function showTrunks(snapshot) {
          const strangers = showStrangers(await ask("strangers"));
          if (!snapshot.trunks.length) return [el("p", { class: "faint" }, "No trunk is configured."), ...strangers];
          return [table([
            { title: "Trunk", value: (trunk) => trunk.name }, { title: "Address", value: (trunk) => trunk.address },
            { title: "State", value: (trunk) => trunk.state + (trunk.lastFailure ? ", last failure: " + trunk.lastFailure : ""), wrap: true, tone: (trunk) => trunk.state === "up" ? "" : "bad" },
            { title: "Calls", number: true, value: (trunk) => trunk.calls }, { title: "Capacity", number: true, value: (trunk) => trunk.capacity || "–" },
            { title: "Load", value: load },
            { title: "From it", number: true, value: (trunk) => trunk.incoming.attempts }, { title: "ASR", number: true, value: (trunk) => percent(ratio(trunk.incoming)) },
            { title: "To it", number: true, value: (trunk) => trunk.outgoing.attempts }, { title: "ASR", number: true, value: (trunk) => percent(ratio(trunk.outgoing)) },
            { title: "ACD", number: true, value: (trunk) => average(trunk.outgoing) }, { title: "Calls to it that failed", wrap: true, value: (trunk) => failures(trunk.outgoing) },
          ], snapshot.trunks), el("p", { class: "faint" }, "Totals since relayd started; relayctl report has other times."), ...strangers];
        }

        function showStrangers(report) {
          if (!report.shown.length) return [];
          return [
            el("h2", {}, "Who calls without being a trunk or a phone"),
            table([
              { title: "Source", value: (row) => row.source }, { title: "Requests", number: true, value: (row) => row.requests },
              { title: "Answered", number: true, value: (row) => row.answers }, { title: "Last (UTC)", value: (row) => time(row.lastAt) },
              { title: "Asked", wrap: true, value: (row) => `${row.method} ${row.called}` }, { title: "Agent", wrap: true, value: (row) => row.userAgent || "–" },
              { title: "Perhaps", wrap: true, value: (row) => row.hint, tone: (row) => row.hint.startsWith("trunk ") ? "bad" : "" },
            ], report.shown),
            el("p", { class: "faint" }, `${report.requests} requests since relayd started, ${report.unanswered} not answered, ${report.sources} sources remembered.`),
          ];
        }

        async function showRegistrations() {
          let list, keepAlive;
          try { [list, keepAlive] = await Promise.all([ask("registrations?limit=500" + (userFilter ? "&filter=" + encodeURIComponent(userFilter) : "")), ask("keepalive")]); }
          catch (error) { if (error.status === 404) return [el("p", { class: "faint" }, "This relayd keeps no registrations.")]; throw error; }
          const cycle = keepAlive.lastCycle;
          return [
            el("div", { class: "controls" }, el("input", { id: "filter", type: "search", placeholder: "user, contact or agent", value: userFilter, "aria-label": "filter",
              input: (event) => { userFilter = event.target.value; refreshSoon(300); } })),
            facts([
              ["Contacts", `${keepAlive.registered} registered, ${keepAlive.behindNAT} behind NAT, ${keepAlive.served} kept alive`],
              ["Keep-alive", keepAlive.message, keepAlive.isOn ? "" : "warm"],
              ["Coverage", cycle ? `${cycle.coveragePercent.toFixed(1)} % of ${cycle.expected} in the last cycle, ${cycle.missedDeadlines} deadlines missed, longest gap ${cycle.longestGapSeconds.toFixed(1)} s` : "no cycle is complete yet",
                cycle ? (cycle.coveragePercent >= 100 && cycle.missedDeadlines === 0 ? "good" : "bad") : "faint"],
              ["Capacity", keepAlive.arithmetic],
              ...keepAlive.findings.filter((finding) => finding.isPresent).map((finding) => ["Trouble", `${finding.symptom}: ${finding.evidence}`, "bad"]),
            ]),
            el("h2", {}, list.matching === list.total ? "Contacts" : `${list.matching} of ${list.total} contacts`),
            list.bindings.length ? table([
              { title: "User", value: (row) => row.user }, { title: "Contact", value: (row) => row.contact }, { title: "From", value: (row) => row.source },
              { title: "NAT", value: (row) => row.nat, tone: (row) => row.nat === "no" ? "faint" : "" },
              { title: "Expires in", number: true, value: (row) => clock(row.expiresInSeconds) }, { title: "Agent", wrap: true, value: (row) => row.agent },
            ], list.bindings) : el("p", { class: "faint" }, list.total ? "None matches." : "Nobody is registered."),
          ];
        }

        async function showRecords() {
          const records = await ask("records?limit=100" + (recordFilter ? "&number=" + encodeURIComponent(recordFilter) : ""));
          return [
            el("div", { class: "controls" }, el("input", { id: "filter", type: "search", placeholder: "number", value: recordFilter, "aria-label": "filter",
              input: (event) => { recordFilter = event.target.value; refreshSoon(300); } })),
            records.length ? table([
              { title: "Released (UTC)", value: (record) => time(record.releaseAt) }, { title: "Caller", value: (record) => record.callerNumber },
              { title: "Called", value: (record) => record.calledNumber }, { title: "Trunks", value: (record) => `${record.callerTrunk || "–"} › ${record.calleeTrunk || "–"}` },
              { title: "Duration", number: true, value: (record) => record.answerAt ? clock(record.durationMilliseconds / 1000) : "–" },
              { title: "Talk", number: true, value: (record) => record.talkSeconds + " s" }, { title: "Dead air", number: true, value: (record) => record.deadAirSeconds + " s", tone: (record) => record.deadAirSeconds > 10 ? "bad" : "" },
              { title: "Cause", value: (record) => record.cause, tone: (record) => record.cause === "normal" ? "good" : "bad" }, { title: "SIP", number: true, value: (record) => record.sipCode }, { title: "By", value: (record) => record.endedBy },
              { title: "What went wrong", wrap: true, value: (record) => record.explanation || "" },
            ], records) : el("p", { class: "faint" }, "No records."),
          ];
        }

        async function refresh() {
          clearTimeout(timer);
          const own = ++turn, place = decodeURIComponent(location.hash.slice(1)) || "calls";
          let pause = 1000;
          try {
            const snapshot = await ask("overview");
            const name = place.split("/")[0];
            const view = name === "call" ? await showCall(place.slice(5)) : name === "trunks" ? await showTrunks(snapshot)
              : name === "registrations" ? await showRegistrations() : name === "records" ? await showRecords() : await showCalls(snapshot);
            if (own !== turn) return;
            header(snapshot);
            put(view);
            for (const link of document.querySelectorAll("nav a")) link.className = link.hash === "#" + name || (name === "call" && link.hash === "#calls") ? "here" : "";
            byId("state").textContent = "As of " + new Date().toLocaleTimeString() + ".";
            if (name === "records") pause = 5000;
          } catch (error) {
            if (own !== turn) return;
            byId("state").replaceChildren(el("span", { class: "bad" }, "relayd does not answer: " + error.message));
            pause = 3000;
          }
          document.body.dataset.ready = "yes";
          if (own === turn && !document.hidden) timer = setTimeout(refresh, pause);
        }

        /// What somebody types into stays where it is.
        function put(view) {
          const typed = document.activeElement && document.activeElement.id === "filter" ? document.activeElement : null;
          const nodes = view.flat().filter(Boolean), box = nodes[0];
          if (typed && box && box.className === "controls" && typed.parentNode.parentNode === byId("view")) {
            while (byId("view").lastChild !== typed.parentNode) byId("view").lastChild.remove();
            byId("view").append(...nodes.slice(1));
          } else byId("view").replaceChildren(...nodes);
        }

        function refreshSoon(milliseconds) { clearTimeout(timer); timer = setTimeout(refresh, milliseconds); }
        addEventListener("hashchange", refresh);
        document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
        refresh();
        """#
}
