/** Page, parts: a choice of one among a few, side by side. */

export function Segments<Name extends string>(props: {
  readonly label: string;
  /** Of the group of radio buttons; unique in the page. */
  readonly name: string;
  readonly choices: readonly (readonly [name: Name, title: string])[];
  readonly chosen: Name;
  readonly onChoose: (name: Name) => void;
}) {
  const { label, name, choices, chosen, onChoose } = props;
  return (
    <div class="segments" role="radiogroup" aria-label={label}>
      {choices.map(([choice, title]) => (
        <label key={choice}>
          <input type="radio" name={name} checked={choice === chosen} onChange={() => onChoose(choice)} />
          <span>{title}</span>
        </label>
      ))}
    </div>
  );
}
