/** Page, parts: an input for the token of the server, shown with the error of a request that needs it. */
import { useState } from 'preact/hooks';
import { RequestFailed, TOKEN_NEEDED } from '../server.ts';
import { giveToken } from '../store/access.ts';

/** Renders nothing for other errors. It is not a form, since it may be inside one. */
export function AccessToken(props: { readonly error: Error; readonly onGiven?: (() => void) | undefined }) {
  const { error, onGiven } = props;
  const [text, setText] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  if (!(error instanceof RequestFailed) || error.code !== TOKEN_NEEDED) return null;
  const give = async () => {
    try {
      await giveToken(text);
      onGiven?.();
    } catch (failure) {
      const isWrong = failure instanceof RequestFailed && failure.code === TOKEN_NEEDED;
      setProblem(isWrong ? 'This is not the token of the server.' : (failure as Error).message);
    }
  };
  return (
    <span class="access-token">
      <input
        type="password"
        class="field"
        aria-label="Token of the server"
        placeholder="Token or address"
        autocomplete="off"
        aria-invalid={problem !== null}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          event.stopPropagation();
          if (event.key !== 'Enter') return;
          event.preventDefault();
          void give();
        }}
      />
      <button type="button" class="button" disabled={text.trim() === ''} onClick={() => void give()}>
        Give the token
      </button>
      {problem !== null && <span role="alert">{problem}</span>}
    </span>
  );
}
