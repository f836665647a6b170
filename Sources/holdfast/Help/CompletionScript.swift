import ArgumentParser

/// The script that completes a command line in a shell.
enum CompletionScript {
  static func text(for shell: CompletionShell) -> String {
    let script = HoldfastCommand.completionScript(for: shell)
    return shell == .bash ? "\(script)\n\(wholeWords)" : script
  }

  /// bash splits words at `=` and `:`, which the functions of the parser do not expect: they treat
  /// `--config=a.toml` as three words.
  private static let wholeWords = #"""
    _holdfast_whole_words() {
        local -a words=()
        local -i index cword=0
        local word cur="${2}" joins=false
        for ((index = 0; index < ${#COMP_WORDS[@]}; index++)); do
            word="${COMP_WORDS[index]}"
            if ((index < 2)); then
                words+=("${word}")
            elif [[ "${word}" == '=' && "${words[-1]}" == --* ]] && ((index == COMP_CWORD || index + 1 == COMP_CWORD)); then
                # The value that is completed stays a word of its own.
                if ((index == COMP_CWORD)); then
                    words+=('')
                    cur=''
                fi
            elif ((index != COMP_CWORD)) && { [[ "${word}" == [=:] ]] || "${joins}"; }; then
                words[-1]+="${word}"
            else
                words+=("${word}")
            fi
            if [[ "${word}" == [=:] ]]; then joins=true; else joins=false; fi
            if ((index == COMP_CWORD)); then cword=$((${#words[@]} - 1)); fi
        done
        local -a COMP_WORDS=("${words[@]}")
        local -i COMP_CWORD="${cword}"
        _holdfast "${1}" "${cur}" "${COMP_WORDS[COMP_CWORD - 1]}"
    }

    complete -o filenames -F _holdfast_whole_words holdfast
    """#
}
