" Defaults of Neovim; ~/.config/nvim comes after it and has the last word.
set mouse=
set number
set ignorecase smartcase
set expandtab shiftwidth=4 softtabstop=4
