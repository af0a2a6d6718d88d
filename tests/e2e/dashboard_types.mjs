// Holds dashboards to the types that Grafana publishes for them: node dashboard_types.mjs NODE_MODULES FILE...
//
// Each panel is written as a TypeScript literal of its type: options and fieldConfig.custom from the panel plugin's own
// types, the rest from the dashboard's. So a misspelt option is an excess property, and a wrong value not assignable.
// Prints one line for each problem; exit code 1 if there are any.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const [modules, ...files] = process.argv.slice(2);
const ts = createRequire(path.resolve(modules, 'index.js'))('typescript');
const COMPOSABLE = '@grafana/schema/dist/types/raw/composable';

// JSON has the values of enums, not their names; thresholds and fieldConfig.custom are made exact.
const TYPES = `import type * as G from '@grafana/schema';
type Json<T> = unknown extends T ? T
  : T extends string ? (string extends T ? string : \`\${T}\`)
  : T extends number ? (\`\${T}\` extends \`\${infer N extends number}\` ? N : never)
  : T extends boolean | null | undefined ? T
  : T extends (infer U)[] ? Json<U>[]
  : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
type Partly<T> = T extends (infer U)[] ? Partly<U>[] : T extends object ? { [K in keyof T]?: Partly<T[K]> } : T;

type Query = { refId: string; expr: string; datasource?: G.DataSourceRef; editorMode?: 'builder' | 'code';
  exemplar?: boolean; format?: 'heatmap' | 'table' | 'time_series'; hide?: boolean; instant?: boolean; range?: boolean;
  interval?: string; intervalFactor?: number; legendFormat?: string };
type Standard = Omit<G.FieldConfig, 'custom'>;
type Override<F> = { [K in keyof Standard]-?: { id: K; value: Json<Standard[K]> } }[keyof Standard]
  | { [K in keyof F & string]-?: { id: \`custom.\${K}\`; value: Json<Partly<F[K]>> } }[keyof F & string];
type FieldConfig<F> = { defaults: Json<Standard> & { custom?: Json<Partly<F>> };
  overrides: { matcher: { id: string; options?: unknown }; properties: Override<F>[] }[] };
type Link = { title: string; url: string; targetBlank?: boolean };
type Panel<O, F> = Json<Omit<G.Panel, 'options' | 'fieldConfig' | 'targets' | 'gridPos' | 'links'>>
  & { id: number; title: string; gridPos: G.GridPos; links?: Link[]; options: Json<Partly<O>>; fieldConfig: FieldConfig<F>;
      targets?: Query[] };
type Variable = Json<G.VariableModel> & { definition?: string };
type Annotation = Json<Omit<G.AnnotationQuery, 'target'>>
  & { target?: Query; titleFormat?: string; textFormat?: string; tagKeys?: string; useValueForTime?: boolean };
type Dashboard = Json<Omit<G.Dashboard, 'panels' | 'templating' | 'annotations'>>
  & { uid: string; title: string; templating: { list: Variable[] }; annotations: { list: Annotation[] } };
`;

/** The plugin's types by the panel's type ("state-timeline" lies in statetimeline), or undefined. */
function plugin(type) {
  const folder = path.join(modules, COMPOSABLE, type.replaceAll('-', '').toLowerCase(), 'panelcfg/x');
  const file = fs.existsSync(folder) && fs.readdirSync(folder).find((name) => name.endsWith('_types.gen.d.ts'));
  if (!file) return undefined;
  const text = fs.readFileSync(path.join(folder, file), 'utf8');
  const module = `import('${path.resolve(folder, file.replace(/\.d\.ts$/, ''))}')`;
  const named = (name) => (new RegExp(`export (interface|type) ${name}\\b`).test(text) ? `${module}.${name}` : '{}');
  return `Panel<${named('Options')}, ${named('FieldConfig')}>`;
}

/** TypeScript for one dashboard, with what each constant stands for; `problems` gets what has no type at all. */
function source(file, problems) {
  const { panels, ...dashboard } = JSON.parse(fs.readFileSync(file, 'utf8'));
  const constants = new Map([['dashboard', file]]);
  let text = `${TYPES}const dashboard: Dashboard = ${JSON.stringify(dashboard, null, 1)};\n`;
  for (const panel of panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])) {
    const where = `${file}: panel ${panel.id} «${panel.title}»`;
    if (panel.type === 'row') continue;
    const type = plugin(panel.type);
    if (!type) {
      problems.push(`${where}: Grafana has no panel type ${panel.type}`);
      continue;
    }
    const constant = `panel${constants.size}`;
    constants.set(constant, where);
    text += `const ${constant}: ${type} = ${JSON.stringify(panel, null, 1)};\n`;
  }
  return { text: `${text}export {};\n`, constants };
}

const problems = [];
const sources = new Map(files.map((file, number) => [path.resolve(modules, `../dashboard${number}.ts`), source(file, problems)]));
const options = {
  strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
};
const host = ts.createCompilerHost(options);
const { fileExists, readFile, getSourceFile } = host;
host.fileExists = (name) => sources.has(name) || fileExists(name);
host.readFile = (name) => sources.get(name)?.text ?? readFile(name);
host.getSourceFile = (name, ...rest) =>
  sources.has(name) ? ts.createSourceFile(name, sources.get(name).text, options.target) : getSourceFile(name, ...rest);
const program = ts.createProgram([...sources.keys()], options, host);
for (const found of ts.getPreEmitDiagnostics(program)) {
  const message = ts.flattenDiagnosticMessageText(found.messageText, ' ').replace(/\s+/g, ' ');
  const constants = sources.get(found.file?.fileName)?.constants;
  const constant = found.file?.text.slice(0, found.start).match(/^const (\w+): /gm)?.at(-1)?.slice(6, -2);
  const line = found.file?.text.slice(found.start).split('\n', 1)[0].trim();
  problems.push(`${constants?.get(constant) ?? 'types'}: ${line}: ${message}`);
}
for (const problem of problems) console.log(problem);
process.exitCode = problems.length ? 1 : 0;
