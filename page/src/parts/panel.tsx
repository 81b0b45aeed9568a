/** Page, parts: panels with a title or with tabs, and messages for empty content and errors. */
import type { ComponentChildren } from 'preact';
import { useRef } from 'preact/hooks';
import { AccessToken } from './access-token.tsx';

export function Panel(props: {
  readonly id: string;
  readonly title: string;
  readonly note?: ComponentChildren;
  readonly actions?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  const { id, title, note, actions, children } = props;
  return (
    <section class="panel" id={id} aria-labelledby={`${id}-title`} tabIndex={-1}>
      <header class="panel-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {note !== undefined && <span class="panel-note">{note}</span>}
        <span class="panel-actions">{actions}</span>
      </header>
      {children}
    </section>
  );
}

export interface Tab<Name extends string> {
  readonly name: Name;
  readonly title: ComponentChildren;
  readonly content: () => ComponentChildren;
}

export function TabbedPanel<Name extends string>(props: {
  readonly id: string;
  readonly label: string;
  readonly tabs: readonly Tab<Name>[];
  readonly open: Name;
  readonly onOpen: (name: Name) => void;
}) {
  const { id, label, tabs, open, onOpen } = props;
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const place = (tabs.findIndex(({ name }) => name === open) + step + tabs.length) % tabs.length;
    onOpen(tabs[place]!.name);
    list.current?.querySelectorAll<HTMLElement>('[role=tab]')[place]?.focus();
  };
  return (
    <section class="panel" id={id} aria-label={label} tabIndex={-1}>
      <div class="panel-head tabs" role="tablist" aria-label={label} ref={list} onKeyDown={onKeyDown}>
        {tabs.map(({ name, title }) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={name === open}
            aria-controls={`tabpanel-${name}`}
            tabIndex={name === open ? 0 : -1}
            onClick={() => onOpen(name)}
          >
            {title}
          </button>
        ))}
      </div>
      <div class="panel-body" role="tabpanel" id={`tabpanel-${open}`} aria-labelledby={`tab-${open}`}>
        {tabs.find(({ name }) => name === open)?.content()}
      </div>
    </section>
  );
}

export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Problem(props: {
  readonly error: Error;
  /** Which operation failed, in front of the message. */
  readonly failed?: string;
  readonly onRetry?: () => void;
  /** Other buttons. */
  readonly children?: ComponentChildren;
}) {
  const { error, failed, onRetry, children } = props;
  const hint = 'hint' in error && typeof error.hint === 'string' ? error.hint : '';
  return (
    <div class="problem" role="alert">
      <strong>{failed === undefined ? error.message : `${failed}: ${error.message}`}</strong>
      {hint !== '' && <p>{hint}</p>}
      <AccessToken error={error} onGiven={onRetry} />
      {onRetry !== undefined && (
        <button type="button" class="button" onClick={onRetry}>
          Try again
        </button>
      )}
      {children}
    </div>
  );
}
