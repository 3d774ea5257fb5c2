"""The style sheet of a report: light or dark as the reader's system is, light on paper."""

STYLE = """
:root{color-scheme:light;--page:#fff;--text:#1d2127;--soft:#5b6470;--line:#d9dee4;--box:#f5f7f9;
--k0:#1f66b3;--k1:#c4541a;--k2:#15805c;--k3:#6a4bb0;--warn:#a4480c;--warnbox:#fdf1e6}
@media screen and (prefers-color-scheme:dark){:root{color-scheme:dark;--page:#15181c;--text:#e6e9ed;
--soft:#a0a9b4;--line:#343a42;--box:#1e2227;--k0:#6aaaf0;--k1:#f0925c;--k2:#4fc79d;--k3:#b09cf0;
--warn:#f5ad7a;--warnbox:#33241a}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.25rem 3rem;max-width:64rem;background:var(--page);
color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",
Arial,sans-serif}
h1{font-size:1.55rem;line-height:1.25;margin:0 0 .3rem;overflow-wrap:anywhere}
h2{font-size:1.12rem;margin:2.2rem 0 .6rem;padding-bottom:.25rem;
border-bottom:1px solid var(--line)}
h3{font-size:.98rem;margin:0 0 .15rem}
p{margin:.4rem 0;max-width:50rem}
.lead{color:var(--soft)}
ul.plain{padding-left:1.1rem;margin:.4rem 0}ul.plain li{margin:.3rem 0;max-width:50rem}
.findings{list-style:none;padding:0;margin:.4rem 0}
.findings li{margin:.45rem 0;padding:.5rem .8rem;background:var(--box);border-left:4px solid
var(--line);border-radius:3px;overflow-wrap:anywhere}
.findings .is-warning{border-color:var(--warn);background:var(--warnbox)}
.findings b{margin-right:.35rem}.findings .is-warning b{color:var(--warn)}
code,.mono{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
.findings code{color:var(--soft);font-size:12px}
pre{background:var(--box);border:1px solid var(--line);border-radius:4px;padding:.7rem .9rem;
white-space:pre-wrap;overflow-wrap:anywhere;margin:.5rem 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}
table.facts{width:100%}
.facts th,.facts td{text-align:left;vertical-align:top;padding:.32rem .6rem .32rem 0;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}
.facts th{font-weight:500;color:var(--soft);white-space:nowrap;width:1%;padding-right:1.4rem}
.facts .number{text-align:right;padding-left:1.2rem;width:6rem}
.facts tr.sum td,.facts tr.sum th{font-weight:600;color:var(--text);border-bottom:0}
.residues{display:block;width:auto;max-width:100%;height:auto;margin:.4rem 0}
.residues a:hover rect{fill:var(--line);fill-opacity:.6}
.columns{display:grid;grid-template-columns:1fr;gap:0 3rem}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1.8rem 2.2rem;
margin-top:1rem}
figure{margin:0;break-inside:avoid}
figure svg{width:100%;height:auto;display:block}
figcaption,.note{color:var(--soft);font-size:13px;line-height:1.4}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;margin:.1rem 0 .3rem;padding:0;
font-size:13px}
.legend li{display:flex;align-items:center;gap:.4rem}
.legend svg.sample{width:26px;height:12px;flex:none}
svg text{font-size:12px;fill:var(--soft)}
svg path{fill:none;stroke-linejoin:round}
.c0,.c1,.c2,.c3{stroke-width:2}.c0{stroke:var(--k0)}.c1{stroke:var(--k1)}.c2{stroke:var(--k2)}
.c3{stroke:var(--k3)}
svg .area,svg .bar{stroke-width:1.25}svg .area{stroke:none}
svg .f0{fill:var(--k0);stroke:var(--k0)}svg .f1{fill:var(--k1);stroke:var(--k1)}
svg .area.f0,svg .area.f1{fill-opacity:.18;stroke:none}svg .bar{fill-opacity:.3}
.grid{stroke:var(--line)}.axis,.tick{stroke:var(--soft)}
.mark{stroke:var(--soft);stroke-dasharray:3 3}
.slices{width:100%;table-layout:fixed;margin-top:.6rem}
.slices th{text-align:left;vertical-align:top;font-weight:500;padding:.3rem .6rem .3rem 0}
.slices thead th:first-child{width:8.5rem}
.slices td{padding:.3rem .7rem .3rem 0;vertical-align:top}
.slices .note{display:block;font-weight:400}
.slices img{display:block;border:1px solid var(--line);background:var(--page)}
.slices .density,.slices .mask{background:#fff}
.slices tr{break-inside:avoid}
.ramp{display:block;height:9px;width:6.5rem;border-radius:2px;margin:.35rem 0 .1rem}
.scale{display:block;height:4px;background:var(--text);margin:.1rem 0 .2rem}
.bars td{color:var(--soft);font-size:13px}
@media (max-width:40rem){.charts{grid-template-columns:1fr}.slices thead th:first-child{width:5rem}}
@media screen and (prefers-color-scheme:dark){
.slices .density,.slices .mask{filter:invert(1);border-color:#cbc5bd}}
@media print{body{max-width:none;padding:0;font-size:10.5pt}h2{break-after:avoid}
.slices{max-width:14.5cm}
.charts{grid-template-columns:1fr 1fr}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
@page{margin:16mm 14mm}
"""
