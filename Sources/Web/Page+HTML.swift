/// The page as it is served. What moves in it is `script`; nothing comes from elsewhere.
enum Page {
    static func html(allowsHangup: Bool) -> String {
        #"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>relayd</title>
        <link rel="icon" href="data:,">
        <link rel="stylesheet" href="/page.css">
        <script src="/page.js" defer></script>
        </head>
        <body data-hangup="\#(allowsHangup ? "yes" : "no")">
        <header>
        <h1>relayd</h1>
        <nav>
        <a href="#calls">Calls</a> <a href="#trunks">Trunks</a> <a href="#registrations">Registrations</a> <a href="#records">Records</a>
        </nav>
        <div id="facts"></div>
        <div id="phones"></div>
        </header>
        <div id="warnings"></div>
        <main id="view"><p class="faint">Asking relayd …</p></main>
        <footer><span id="state"></span> <a href="/metrics">Metrics</a></footer>
        <noscript>This page needs JavaScript. The same is in relayctl calls, relayctl top and /metrics.</noscript>
        </body>
        </html>

        """#
    }

    static let style = #"""
        :root { color-scheme: light dark; --line: #8884; --faint: #888; --good: #2a8a3e; --bad: #c8322b; --warm: #b7791f; --mark: #3b82c4; }
        * { box-sizing: border-box; }
        body { margin: 0; font: 14px/1.45 system-ui, sans-serif; }
        header { display: flex; flex-wrap: wrap; gap: .4rem 1.4rem; align-items: baseline; padding: .6rem 1rem; border-bottom: 1px solid var(--line); }
        h1 { font-size: 1.15rem; margin: 0; }
        h2 { font-size: 1.05rem; margin: 1.2rem 0 .4rem; }
        nav a { margin-right: .8rem; text-decoration: none; color: inherit; padding-bottom: .15rem; }
        nav a.here { border-bottom: 2px solid var(--mark); }
        #facts { color: var(--faint); margin-left: auto; }
        #warnings p { margin: 0; padding: .35rem 1rem; background: #c8322b22; border-bottom: 1px solid var(--line); }
        main { padding: .6rem 1rem; overflow-x: auto; }
        footer { padding: .6rem 1rem; color: var(--faint); border-top: 1px solid var(--line); }
        table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
        th, td { text-align: left; padding: .28rem .7rem .28rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
        th { font-weight: 600; color: var(--faint); font-size: .85rem; }
        td.number, th.number { text-align: right; padding-right: 1.6rem; }
        td.wrap { white-space: normal; }
        tr.link { cursor: pointer; } tr.link:hover { background: #8881; }
        .good { color: var(--good); } .bad { color: var(--bad); } .warm { color: var(--warm); } .faint { color: var(--faint); }
        form, .controls { display: flex; gap: .6rem; margin-bottom: .5rem; align-items: center; }
        input, select, button { font: inherit; padding: .2rem .5rem; }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; } dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
        .columns { display: flex; flex-wrap: wrap; gap: 0 3rem; } .columns > section { flex: 1 1 24rem; min-width: 0; }
        svg { display: block; max-width: 100%; } svg text { fill: currentColor; font-size: 12px; } svg .faint { fill: var(--faint); }
        svg line, svg path { stroke: currentColor; stroke-width: 1; fill: none; } svg .life { stroke: var(--line); } svg .again { opacity: .45; }
        svg .failure { stroke: var(--bad); } svg text.failure { fill: var(--bad); stroke: none; }
        svg rect.packets { fill: var(--good); } svg rect.lost { fill: var(--bad); } svg rect.gap { fill: #c8322b22; } svg rect.full { fill: var(--mark); } svg rect.over { fill: var(--bad); } svg rect.frame { fill: none; stroke: var(--line); }
        """#
}
